"""Registers one task with its evaluation form, and one that has none."""

import gymnasium

SETTINGS = {
    "rsl_rl_cfg_entry_point": "isaaclab_tasks.settings:rsl_rl",
    "skrl_cfg_entry_point": "isaaclab_tasks.settings:skrl",
}

for name, config in (("Isaac-Rail-v0", "RailCfg"), ("Isaac-Rail-Play-v0", "RailPlayCfg"), ("Isaac-Bare-v0", "RailCfg")):
    gymnasium.register(
        id=name,
        entry_point="isaaclab.envs:DirectRLEnv",
        disable_env_checker=True,
        kwargs={"env_cfg_entry_point": f"isaaclab_tasks.settings:{config}"} | (SETTINGS if "Rail" in name else {}),
    )
