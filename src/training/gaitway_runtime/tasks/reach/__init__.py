"""Reach tasks: bring an arm's hand to a commanded pose. A folder for each arm; what they share is here."""

from ...spec.catalog import Gate, LocalScale, SuccessRule, Task, Threshold, register

NEAR = 0.02
"""Distance from the commanded position at which it counts as reached [m]."""


def register_reach(module: str, *, robot: str, shown: str, stem: str, joints: int, moved: int) -> None:
    """Register the reach task of an arm.

    Args:
        module: The arm's module below ``tasks/reach``, with an ``environment`` in it.
        robot: Name of the arm.
        shown: Its name in sentences.
        stem: Its part of Isaac Lab's task name.
        joints: Joints that are observed.
        moved: Joints that the actions move.
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
            success=SuccessRule(
                sentence=f"the hand is within {NEAR * 100:g} cm of the last commanded position when the episode ends",
                last=(Threshold("position_error", "<=", NEAR, "m"),),
            ),
            gate=Gate(success_rate=0.9),
            local=LocalScale(512, 120, 20),
            recipes={"rsl_rl": "gaitway_runtime.tasks.reach.recipe:RSL_RL"},
        )
    )
