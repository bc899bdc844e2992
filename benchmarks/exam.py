"""Conventions that the exam finds of a sample behind other conventions, and which it is wrongly sure of.

    python -m benchmarks.exam [NAME...]

Each variant is the network of a sample behind a wrapper that changes what it takes and gives; a line for each
convention says what was found, how sure, and whether it is what the wrapper has.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable

import torch
from gaitway_runtime.exam import conventions as words
from gaitway_runtime.exam.conventions import Conventions, ExamTerm
from gaitway_runtime.exam.evidence import PolicyAnswers, robot_facts
from gaitway_runtime.exam.labels import label_of
from gaitway_runtime.exam.search import BUDGET, Search, Searcher
from gaitway_runtime.exam.subject import spec_of, walking_tasks
from gaitway_runtime.exam.trials import Trials
from gaitway_runtime.simulators.mujoco.models import compile_robot
from gaitway_runtime.tasks.environment import EnvCfg

from tests.runtime.exam.strangers import ANYMAL, GO2, ISAAC, SAMPLES, SHUFFLED, Stranger, as_trained, noise, under

H1, G1, ROUGH = (
    SAMPLES / f"{name}" / f"model_{number}.pt"
    for name, number in (("h1-flat", 599), ("g1-flat", 479), ("anymal-c-rough", 650))
)
SAMPLE = {"anymal_c": ANYMAL, "unitree_go2": GO2, "unitree_h1": H1, "unitree_g1": G1}
NOISE = "noise"
"""Name of a policy that nobody trained."""
OF_ROUGH_GROUND = ("rough", "rough_y_fastest")
"""Variants of the sample that sees the ground."""

Change = Callable[[Conventions, EnvCfg], Conventions]


def terms(found: Conventions, *quantities: str) -> Conventions:
    """Return conventions with other terms."""
    return dataclasses.replace(found, terms=tuple(ExamTerm(quantity=quantity) for quantity in quantities))


def shuffled(found: Conventions, joints: tuple[int, ...]) -> Conventions:
    """Return conventions with another order of joints."""
    return dataclasses.replace(found, joints=joints, action_scale=tuple(found.action_scale[joint] for joint in joints))


def legged_gym(found: Conventions, task: EnvCfg) -> Conventions:
    """legged_gym's scales of observations."""
    found = found.scaled(words.LIN_VEL, 2.0).scaled(words.ANG_VEL, 0.25).scaled(words.JOINT_VEL, 0.05)
    return found.scaled(words.COMMAND, 2.0, 2.0, 0.25)


def frames(found: Conventions, count: int, *, per_term: bool = False, newest_first: bool = False) -> Conventions:
    """Return conventions with a history."""
    if per_term:
        kept = tuple(dataclasses.replace(term, frames=count, newest_first=newest_first) for term in found.terms)
        return dataclasses.replace(found, terms=kept)
    return dataclasses.replace(found, stacked=count, stacked_newest_first=newest_first)


def moved(found: Conventions, kind: str, shift: float, task: EnvCfg) -> Conventions:
    """Return conventions whose default pose has the joints of one kind elsewhere."""
    names = spec_of(task).joint_names
    pose = tuple(v + shift * (kind in name) for v, name in zip(found.action_pose, names, strict=True))
    return dataclasses.replace(found, action_pose=pose, observed_pose=pose)


def zero(found: Conventions) -> tuple[float, ...]:
    """Return a pose of zeros."""
    return (0.0,) * len(found.joints)


VARIANTS: dict[str, tuple[str, Change]] = {
    "plain": ("anymal_c", lambda c, t: c),
    "shuffled": ("anymal_c", lambda c, t: shuffled(c, SHUFFLED)),
    "doubled": ("anymal_c", lambda c, t: dataclasses.replace(c, action_scale=tuple(2 * s for s in c.action_scale))),
    "frames": ("anymal_c", lambda c, t: frames(c, 5)),
    "newest_first": ("anymal_c", lambda c, t: frames(c, 5, newest_first=True)),
    "per_term": ("anymal_c", lambda c, t: frames(c, 5, per_term=True)),
    "gravity_up": ("anymal_c", lambda c, t: c.scaled(words.GRAVITY, -1.0)),
    "legged_gym": ("anymal_c", legged_gym),
    "command_last": ("anymal_c", lambda c, t: terms(c, *ISAAC[:3], *ISAAC[4:], words.COMMAND)),
    "absolute": ("anymal_c", lambda c, t: dataclasses.replace(c, observed_pose=zero(c))),
    "from_zero": ("anymal_c", lambda c, t: dataclasses.replace(c, observed_pose=zero(c), action_pose=zero(c))),
    "other_pose": ("anymal_c", lambda c, t: moved(c, "KFE", 0.2, t)),
    "shown_target": ("anymal_c", lambda c, t: dataclasses.replace(c, shown_scale=c.action_scale[0])),
    "orientation": ("anymal_c", lambda c, t: terms(c, *ISAAC[:2], words.ORIENTATION, *ISAAC[3:])),
    "world": (
        "anymal_c",
        lambda c, t: terms(c, *ISAAC[:2], words.ORIENTATION, *ISAAC[3:]).with_term(words.LIN_VEL, frame="world"),
    ),
    "orientation_xyzw": (
        "anymal_c",
        lambda c, t: terms(c, *ISAAC[:2], words.ORIENTATION, *ISAAC[3:]).with_term(words.ORIENTATION, frame="xyzw"),
    ),
    "euler": ("anymal_c", lambda c, t: terms(c, *ISAAC[:2], words.EULER, *ISAAC[3:])),
    "euler_world": (
        "anymal_c",
        lambda c, t: terms(c, *ISAAC[:2], words.EULER, *ISAAC[3:]).with_term(words.LIN_VEL, frame="world"),
    ),
    "roll_pitch": ("anymal_c", lambda c, t: terms(c, *ISAAC[:2], words.ROLL_PITCH, *ISAAC[3:])),
    "heading": ("anymal_c", lambda c, t: c.with_term(words.LIN_VEL, frame="heading")),
    "clock": ("anymal_c", lambda c, t: terms(c, *ISAAC, words.CLOCK)),
    "rough": ("anymal_c", lambda c, t: terms(c, *ISAAC, words.HEIGHT_SCAN)),
    "rough_y_fastest": (
        "anymal_c",
        lambda c, t: terms(c, *ISAAC, words.HEIGHT_SCAN).with_term(words.HEIGHT_SCAN, frame="y"),
    ),
    "go2": ("unitree_go2", lambda c, t: c),
    "go2_leg_major": (
        "unitree_go2",
        lambda c, t: shuffled(c, tuple(4 * part + leg for leg in range(4) for part in range(3))),
    ),
    "go2_legged_gym": ("unitree_go2", legged_gym),
    "go2_absolute": ("unitree_go2", lambda c, t: dataclasses.replace(c, observed_pose=zero(c))),
    "g1": ("unitree_g1", lambda c, t: c),
    "h1": ("unitree_h1", lambda c, t: c),
    "h1_gravity_up": ("unitree_h1", lambda c, t: c.scaled(words.GRAVITY, -1.0)),
}


def find(policy: Stranger, task: EnvCfg, *, scan: bool = False) -> Search:
    """Look for the conventions of a policy."""
    spec = spec_of(task)
    facts = robot_facts(compile_robot(task.robot, timestep=task.physics_dt), spec)
    answers = PolicyAnswers(policy.act, policy.inputs, facts)
    with contextlib.closing(Trials(task, spec, policy, policy.outputs, scan=scan, budget=BUDGET)) as trials:
        return Searcher(answers, trials, spec, task.action.scales, policy.inputs, lambda _: None).run()


def main(names: list[str]) -> None:
    """Look for the conventions of some variants, or of all, and count what the exam is wrongly sure of."""
    torch.set_num_threads(1)
    wrong_sure, wrong, sure, total = 0, 0, 0, 0
    for name in [name for name in names or VARIANTS if name != NOISE]:
        robot, change = VARIANTS[name]
        task = next(task for task in walking_tasks() if task.robot == robot)
        spec, truth = spec_of(task), change(as_trained(task), task)
        seen = name in OF_ROUGH_GROUND
        found = find(under(ROUGH if seen else SAMPLE[robot], truth, task), task, scan=seen)
        score = f"follows {found.score.follow:.0%}, upright {found.score.alive:.0%}, total {found.score.total:.2f}"
        print(f"{name}: walks {found.walks}, {score}, {found.tried} tried, {found.seconds:.1f} CPU s", flush=True)
        for decision in found.decisions:
            wanted = label_of(decision.convention, truth, spec)
            right = decision.found == wanted
            total, sure = total + 1, sure + (decision.sure == "sure")
            wrong, wrong_sure = wrong + (not right), wrong_sure + (not right and decision.sure == "sure")
            mark = "" if right else f"   WRONG, it is {wanted}"
            near = f"{decision.runner_up} {decision.runner_up_score:.2f} against {decision.score:.2f}"
            print(f"    {decision.convention}: {decision.found} [{decision.sure}; next {near}]{mark}", flush=True)
    print(f"{total} conventions: {sure} sure, of them {wrong_sure} wrong; {wrong} wrong in all")
    if not names or NOISE in names:
        task = next(task for task in walking_tasks() if task.robot == "anymal_c")
        found = find(noise(), task)
        print(f"{NOISE}: walks {found.walks}, {found.tried} tried, {found.seconds:.1f} CPU s")


if __name__ == "__main__":
    main(sys.argv[1:])
