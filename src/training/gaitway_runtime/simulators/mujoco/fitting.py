"""Search for an embedded task that can play the policy of a task that is not here, by the policy's contract."""

from __future__ import annotations

from ...spec import catalog
from ...spec.contract import PolicyContract
from ...spec.errors import UsageError
from ...tasks.environment import EnvCfg, find_environment


def fitting_task(contract: PolicyContract) -> EnvCfg:
    """Return the task of the same joints that lacks least of what a policy observes, and then has least to spare.

    Raises:
        UsageError: No robot here has the policy's joints.
    """
    joints = {joint for term in contract.actions for joint in term.joint_names}
    known = [find_environment(task.name) for task in catalog.tasks()]
    same_robot = [task for task in known if set(task.action.joint_names) == joints]
    if not same_robot:
        raise UsageError(
            f"no robot of the embedded simulator has the joints of {contract.task or 'the policy'}: "
            f"{', '.join(sorted(joints))}",
            source="--contract",
            hint="play it where it was trained: --simulator isaaclab",
        )
    wanted = {term.name for term in contract.observations}

    def misfit(task: EnvCfg) -> tuple[int, int]:
        offered = {term.name for term in task.observations}
        return len(wanted - offered), len(offered - wanted)

    return min(same_robot, key=misfit)
