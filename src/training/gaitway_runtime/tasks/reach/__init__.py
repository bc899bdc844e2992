"""Reach tasks: bring an arm's hand to a commanded pose. A folder for each arm; what they share is here."""

from ...spec.catalog import Gate, LocalScale, SuccessRule, Task, Threshold, register

NEAR = Threshold("position_error", "<=", 0.02, "m")
TURNED = Threshold("orientation_error", "<=", 0.2, "rad")

POSITION = SuccessRule(
    sentence="the hand is within 2 cm of the last commanded position when the episode ends", last=(NEAR,)
)
POSE = SuccessRule(
    sentence="the hand is within 2 cm and 0.2 rad of the last commanded pose when the episode ends",
    last=(NEAR, TURNED),
)


def register_reach(
    module: str,
    *,
    robot: str,
    shown: str,
    stem: str,
    joints: int,
    moved: int,
    recipe: str,
    local: LocalScale,
    reached: SuccessRule,
    success_rate: float,
) -> None:
    """Register the reach task of an arm.

    Args:
        module: The arm's module below ``tasks/reach``, with an ``environment`` in it.
        robot: Name of the arm.
        shown: Its name in sentences.
        stem: Its part of Isaac Lab's task name.
        joints: Joints that are observed.
        moved: Joints that the actions move.
        recipe: Name of its settings in ``recipe``.
        local: Scale of a training on this machine.
        reached: What its training is made for, ``POSITION`` or ``POSE``.
        success_rate: Share of episodes that are to end like that.
    """
    register(
        Task(
            name=f"Isaac-Reach-{stem}-v0",
            aliases=(f"Isaac-Reach-{stem}",),
            summary=f"Bring {shown}'s hand to a commanded pose",
            robot=robot,
            environment=f"gaitway_runtime.tasks.reach.{module}.environment:REACH",
            observations=2 * joints + 7 + moved,
            actions=moved,
            control_hz=30,
            episode_length_s=12,
            success=reached,
            gate=Gate(success_rate=success_rate),
            local=local,
            recipes={"rsl_rl": f"gaitway_runtime.tasks.reach.recipe:{recipe}"},
        )
    )
