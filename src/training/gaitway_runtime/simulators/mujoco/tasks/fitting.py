"""Which task here can play the policy of a task that is not here: told by the policy's contract."""

from __future__ import annotations

from ....errors import UsageError
from ....policies.contract import PolicyContract
from . import TASKS
from .cfg import Task


def fitting_task(contract: PolicyContract) -> Task:
    """Return the task of the same joints that lacks least of what a policy observes, and then has least to spare.

    Raises:
        UsageError: No robot here has the policy's joints.
    """
    joints = {joint for term in contract.actions for joint in term.joint_names}
    same_robot = [task for task in TASKS.values() if set(task.action.joint_names) == joints and not task.play]
    if not same_robot:
        raise UsageError(
            f"no robot of the embedded simulator has the joints of {contract.task or 'the policy'}: "
            f"{', '.join(sorted(joints))}",
            source="--contract",
            hint="play it where it was trained: --simulator isaaclab",
        )
    wanted = {term.name for term in contract.observations}

    def misfit(task: Task) -> tuple[int, int]:
        offered = {term.name for term in task.observations}
        return len(wanted - offered), len(offered - wanted)

    return min(same_robot, key=misfit)
