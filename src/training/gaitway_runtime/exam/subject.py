"""Robot and task in which a policy is examined."""

from __future__ import annotations

from ..spec import catalog
from ..spec.errors import UsageError, nearest
from ..tasks.environment import EnvCfg, VelocityCommand, find_environment
from ..tasks.robots import ROBOTS, RobotSpec
from .description import Description


def walking_tasks() -> tuple[EnvCfg, ...]:
    """Return the embedded tasks on flat ground in which a robot follows velocity commands."""
    found = [find_environment(task.name) for task in catalog.tasks()]
    return tuple(task for task in found if isinstance(task.command, VelocityCommand) and task.terrain is None)


def task_for(robot: str | None, task: str | None, described: Description | None, outputs: int) -> EnvCfg:
    """Return the task in which a policy is examined.

    Args:
        robot: Name of the robot, as the user wrote it.
        task: Name of the task, as the user wrote it.
        described: What is known of the policy.
        outputs: Outputs of the policy.

    Raises:
        UsageError: There is no such robot or task, the policy's outputs are not its joints, or the robot is not given
            it is.
    """
    if task is not None:
        found = find_environment(task)
        if not isinstance(found.command, VelocityCommand):
            raise UsageError(
                f"task {found.name} commands no velocity",
                source="--task",
                hint="gaitway validate judges policies of other tasks",
            )
    elif robot is not None:
        found = _task_of(robot)
    elif described is not None and described.task and catalog.find(described.task):
        found = task_for(None, described.task, None, outputs)
    else:
        found = _only_fitting(described, outputs)
    joints = len(ROBOTS.get(found.robot).joint_names)
    if outputs != joints:
        raise UsageError(
            f"the policy has {outputs} outputs, {found.robot} has {joints} joints",
            source="--robot" if robot else "--task" if task else "the policy's contract",
            allowed=_robots(outputs),
        )
    return found


def spec_of(task: EnvCfg) -> RobotSpec:
    """Return the robot of a task."""
    return ROBOTS.get(task.robot)


def rough_task_of(task: EnvCfg) -> EnvCfg | None:
    """Return the task of the same robot on rough ground; None where it has none."""
    for info in catalog.tasks():
        found = find_environment(info.name)
        if found.robot == task.robot and found.terrain is not None and isinstance(found.command, VelocityCommand):
            return found
    return None


def _task_of(robot: str) -> EnvCfg:
    tasks = {task.robot: task for task in reversed(walking_tasks())}
    wanted = robot.lower().replace("-", "_")
    close = [name for name in tasks if name == wanted or name.endswith(f"_{wanted}")]
    if not close:
        guess = nearest(wanted, tasks, 1)
        raise UsageError(
            f"no robot of that name walks here: '{robot}'",
            source="--robot",
            allowed=", ".join(sorted(tasks)),
            hint=f"did you mean {guess}? --import MODULE brings a robot of your own" if guess else None,
        )
    return tasks[close[0]]


def _only_fitting(described: Description | None, outputs: int) -> EnvCfg:
    """Return the task of the only robot that has the policy's joints, or as many."""
    tasks = list({task.robot: task for task in reversed(walking_tasks())}.values())
    if described is not None and described.joints:
        fitting = [task for task in tasks if set(task.action.joint_names) == set(described.joints)]
        if not fitting:
            raise UsageError(
                f"no robot here has the policy's joints: {', '.join(described.joints)}",
                source=described.source,
                allowed=", ".join(sorted(task.robot for task in tasks)),
                hint="gaitway robot new makes a robot of an MJCF or URDF; --import brings it",
            )
    else:
        fitting = [task for task in tasks if len(task.action.joint_names) == outputs]
    if len(fitting) == 1:
        return fitting[0]
    raise UsageError(
        f"the policy has {outputs} outputs and does not say which robot it is for",
        source="--robot",
        allowed=_robots(outputs),
        hint="name the robot: --robot NAME",
    )


def _robots(joints: int) -> str:
    names = sorted({task.robot for task in walking_tasks() if len(task.action.joint_names) == joints})
    return ", ".join(names) or f"no robot here has {joints} joints"
