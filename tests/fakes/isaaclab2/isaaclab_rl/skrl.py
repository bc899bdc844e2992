"""skrl's own wrapper of Isaac Lab environments."""

from typing import Any


def SkrlVecEnvWrapper(env: Any, ml_framework: str = "torch", wrapper: str = "isaaclab") -> Any:  # noqa: N802
    from skrl.envs.wrappers.torch import wrap_env

    return wrap_env(env, f"{wrapper}-single-agent")
