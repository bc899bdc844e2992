"""Policies that see their tilt as a quaternion or as angles, and velocities of the world: read from their answers."""

from __future__ import annotations

import contextlib
import dataclasses

import numpy as np
import pytest
from gaitway_runtime.exam.conventions import (
    ANG_VEL,
    EULER,
    GRAVITY,
    JOINT_POS,
    JOINT_VEL,
    LAST,
    LIN_VEL,
    ORIENTATION,
    ROLL_PITCH,
    Conventions,
    ExamTerm,
)
from gaitway_runtime.exam.evidence import PolicyAnswers, robot_facts
from gaitway_runtime.exam.layouts import BLOCK, arrangements, splits
from gaitway_runtime.exam.playing import ExamActor
from gaitway_runtime.exam.subject import spec_of, task_for
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.simulators.mujoco.models import compile_robot

from . import strangers

TASK = task_for("anymal_c", None, None, 12)


def with_attitude(quantity: str, *, frame: str = "base", **velocities: str) -> Conventions:
    """ANYmal's conventions with another quantity in gravity's place, and velocities in other frames."""
    terms = tuple(ExamTerm(quantity=quantity if name == GRAVITY else name) for name in strangers.ISAAC)
    found = dataclasses.replace(strangers.as_trained(TASK), terms=terms).with_term(quantity, frame=frame)
    for name, other in velocities.items():
        found = found.with_term(name, frame=other)
    return found


ATTITUDES = {
    "wxyz": with_attitude(ORIENTATION, frame="wxyz"),
    "xyzw, velocity of the world": with_attitude(ORIENTATION, frame="xyzw", base_linear_velocity="world"),
    "Euler angles": with_attitude(EULER),
    "Euler angles, velocities of the world": with_attitude(
        EULER, base_linear_velocity="world", base_angular_velocity="world"
    ),
    "roll and pitch": with_attitude(ROLL_PITCH),
}


@pytest.mark.parametrize("name", ATTITUDES)
def test_a_policys_answers_tell_how_it_sees_its_tilt_and_in_which_frame_its_velocity(name: str) -> None:
    truth = ATTITUDES[name]
    policy = strangers.under(strangers.ANYMAL, truth, TASK)
    answers = PolicyAnswers(
        policy.act, policy.inputs, robot_facts(compile_robot(TASK.robot, timestep=0.005), spec_of(TASK))
    )
    terms = tuple(BLOCK if term.quantity in (JOINT_POS, JOINT_VEL, LAST) else term.quantity for term in truth.terms)
    sets = [(frames, terms) for frames, terms in splits(policy.inputs, 12) if frames == 1]
    layouts = [each for frames, names in sets for each in arrangements(frames, names, 12)]
    first = answers.read([each for each in layouts if each.terms[3:] == terms[3:]], keep=1)[0]
    assert first.arrangement.terms == terms
    if ORIENTATION in terms:
        assert first.upright.order == truth.terms[2].frame
    for quantity in (LIN_VEL, ANG_VEL):
        term = truth.term(quantity)
        assert term is not None and answers.turns(first, quantity) == (term.frame == "world")


def test_a_policy_sees_the_tilt_that_its_conventions_ask_for() -> None:
    """Behind its conventions a stranger made of a sample drives the robot as the sample does."""
    own = strangers.network_of(strangers.ANYMAL)
    with contextlib.closing(MujocoEnv(TASK, num_envs=4, training=False, seed=3)) as env:
        actors = [ExamActor(strangers.under(strangers.ANYMAL, truth, TASK), truth, env) for truth in ATTITUDES.values()]
        observations = env.reset(3)["policy"]
        for _ in range(40):
            wanted = own(observations)
            for actor in actors:
                np.testing.assert_allclose(actor.act(observations), wanted, atol=1e-3)
            observations = env.step(wanted).observations["policy"]
    assert np.abs(observations[:, 6:8]).max() > 0.01  # they lean as they walk
