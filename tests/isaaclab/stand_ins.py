"""The real Isaac Lab 3.0 with what is at hand: its tasks' configurations with local robots and known actuators."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from gaitway_runtime.tasks.velocity.anymal import ARMATURE, DAMPING, EFFORT_LIMIT, STIFFNESS


@contextlib.contextmanager
def opened(task: str, *, num_envs: int, prepare: Callable[[Any], None]) -> Iterator[Any]:
    """Open a task on the CPU, with Newton, and close it.

    Args:
        task: The task's name in Isaac Lab.
        num_envs: Worlds.
        prepare: Changes the configuration.
    """
    import gymnasium
    import isaaclab_tasks  # noqa: F401  (registers the tasks)
    from isaaclab.app.sim_launcher import launch_simulation
    from isaaclab_tasks.utils import resolve_task_config

    cfg, _ = resolve_task_config(task, "rsl_rl_cfg_entry_point", overrides=["physics=newton_mjwarp"])
    cfg.sim.device, cfg.scene.num_envs, cfg.seed = "cpu", num_envs, 0
    prepare(cfg)
    with launch_simulation(cfg, {"device": "cpu"}):
        env = gymnasium.make(task, cfg=cfg)
        try:
            yield env
        finally:
            env.close()


def anymal_c(cfg: Any) -> None:
    """Give ANYmal C the drives of the embedded simulator: Isaac Lab's network of them is not public."""
    from isaaclab.actuators import ImplicitActuatorCfg

    cfg.scene.robot.actuators = {
        "legs": ImplicitActuatorCfg(
            joint_names_expr=[".*"],
            stiffness=STIFFNESS,
            damping=DAMPING,
            armature=ARMATURE,
            joint_effort_limit=EFFORT_LIMIT,
        )
    }
    # Looks, from NVIDIA's server.
    cfg.scene.terrain.visual_material = None
    cfg.scene.sky_light = None
    cfg.commands.base_velocity.debug_vis = False


def only_ground(cfg: Any) -> None:
    """Let the robot touch the ground alone, as in the embedded simulator: its simple shapes get in each other's way."""
    for properties in cfg.scene.robot.spawn.articulation_props:
        if hasattr(properties, "self_collision_enabled"):
            properties.self_collision_enabled = False


def small_terrain(cfg: Any) -> None:
    """Make the rough terrain a small one: two rows of slopes and stairs."""
    generator = cfg.scene.terrain.terrain_generator
    generator.num_rows, generator.num_cols, generator.border_width = 2, 2, 2.0
    kept = ("pyramid_stairs", "hf_pyramid_slope")
    generator.sub_terrains = {name: generator.sub_terrains[name] for name in kept}
