"""The policy contract of an Isaac Lab task, read from the environment as it is."""

from __future__ import annotations

from typing import Any

from ...policies.contract import ActionTerm, ObservationTerm, PolicyContract, Robot, Timing
from .measuring import robot, tensor


def contract_of(env: Any, task: str) -> PolicyContract:
    """Return what a deployer must know of a policy of this task.

    Args:
        env: The unwrapped environment.
        task: The task's name.
    """
    import importlib.metadata

    return PolicyContract(
        task=task,
        simulator=f"isaaclab {importlib.metadata.version('isaaclab')}",
        observations=_observations(env),
        actions=_actions(env),
        timing=Timing(physics_dt=env.physics_dt, decimation=env.cfg.decimation, control_dt=env.step_dt),
        robot=_robot(env),
    )


def _observations(env: Any) -> tuple[ObservationTerm, ...]:
    manager, start, found = env.observation_manager, 0, []
    names, sizes = manager.active_terms["policy"], manager.group_obs_term_dim["policy"]
    joints = tuple(robot(env).joint_names)
    for name, (size,) in zip(names, sizes, strict=True):
        per_joint = joints if size == len(joints) and name != "actions" else ()
        found.append(ObservationTerm(name=name, start=start, stop=start + size, joint_names=per_joint))
        start += size
    return tuple(found)


def _actions(env: Any) -> tuple[ActionTerm, ...]:
    start, found = 0, []
    for name in env.action_manager.active_terms:
        term = env.action_manager.get_term(name)
        size, kind = term.action_dim, "joint_effort" if "Effort" in type(term).__name__ else "joint_position"
        found.append(
            ActionTerm(
                name=name,
                kind=kind,
                start=start,
                stop=start + size,
                joint_names=tuple(term._joint_names),
                scale=_spread(term._scale, size),
                offset=_spread(term._offset, size),
            )
        )
        start += size
    return tuple(found)


def _robot(env: Any) -> Robot:
    found = robot(env)
    return Robot(
        name="robot",
        joint_names=tuple(found.joint_names),
        default_joint_pos=tuple(tensor(found.data.default_joint_pos)[0].tolist()),
        joint_pos_limits=(),
        stiffness=(),
        damping=(),
        armature=(),
        effort_limits=(),
        actuator="",
        body_names=tuple(found.body_names),
    )


def _spread(value: Any, size: int) -> tuple[float, ...]:
    return (float(value),) * size if isinstance(value, (int, float)) else tuple(value[0].tolist())
