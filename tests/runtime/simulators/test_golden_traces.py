"""The embedded simulator's terms against the real Isaac Lab 3.0: the same states and commands, the same numbers.

The traces are recorded by ``tests/isaaclab/record_traces.py``. Where 3.0 defines something otherwise than 2.x, whose
definitions the embedded simulator has, the difference itself is what is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gaitway_runtime.tasks.environment import find_environment

from tests.fakes.replay import Replay, Trace

DATA = Path(__file__).parents[2] / "data"
TASKS = {
    "cartpole": "Isaac-Cartpole-v0",
    "ant": "Isaac-Ant-v0",
    "anymal_c_flat": "Isaac-Velocity-Flat-Anymal-C-v0",
    "anymal_c_rough": "Isaac-Velocity-Rough-Anymal-C-v0",
}
"""Traces and the tasks here that they are of."""

ONLY_IN_3 = "terminating"
"""Reward term of the ant that 2.x does not have."""
EFFORT_IN_3 = 7.5
"""Where 3.0 cuts off the ant's torques, which 2.x does not [N m]."""
FAR_TARGET_ROUNDING = 1.3e-4
"""Of the ant's progress: Isaac Lab subtracts two float32 numbers of about 60,000 (steps of 0.004), times 1/60 s."""


@pytest.fixture(scope="module", params=list(TASKS))
def played(request: pytest.FixtureRequest) -> Iterator[SimpleNamespace]:
    """A trace, and what the embedded simulator made of it, both (T, N, ...) by name."""
    trace = Trace.read(DATA / f"isaaclab3_{request.param}.npz")
    replay = Replay(find_environment(TASKS[request.param]), trace)
    observations, steps = [replay.first_observations()], []
    for _ in range(trace.steps):
        steps.append(replay.step())
        observations.append(steps[-1].observations["policy"])
    yield SimpleNamespace(
        name=request.param,
        trace=trace,
        contract=replay.env.contract,
        state=replay.env.state,
        observations=np.stack(observations),
        targets=np.stack(replay.targets),
        logs=[step.log for step in steps],
        terms={name: np.stack([step.reward_terms[name] for step in steps]) for name in steps[0].reward_terms},
        terminated=np.stack([step.terminated for step in steps]),
        truncated=np.stack([step.truncated for step in steps]),
    )
    replay.close()


def test_the_robot_starts_from_the_same_pose_within_the_same_limits(played: SimpleNamespace) -> None:
    about, order = played.trace.about, played.trace.order(played.contract.robot.joint_names)
    assert played.state.default_joint_pos == pytest.approx([about["default_joint_pos"][joint] for joint in order])
    limits = np.array(about["soft_joint_pos_limits"])[order]
    limits[np.abs(limits) > 1e9] = np.sign(limits[np.abs(limits) > 1e9]) * np.inf
    np.testing.assert_allclose(played.state.soft_joint_pos_limits, limits, rtol=1e-6)


def test_the_observations_are_isaac_labs(played: SimpleNamespace) -> None:
    recorded = np.concatenate([played.trace["begin/observations"][None], played.trace["observations"]])
    sizes = {term.name: term.stop - term.start for term in played.contract.observations}
    assert sizes == {name: size for name, (size,) in played.trace.about["observations"].items()}
    for term in played.contract.observations:
        columns = np.arange(term.start, term.stop)
        theirs = columns[played.trace.order(term.joint_names)] if term.joint_names else columns
        np.testing.assert_allclose(
            played.observations[..., columns], recorded[..., theirs], atol=1e-4, rtol=1e-5, err_msg=term.name
        )


def test_the_reward_terms_are_isaac_labs(played: SimpleNamespace) -> None:
    recorded = dict(zip(played.trace.about["rewards"], np.moveaxis(played.trace["reward_terms"], -1, 0), strict=True))
    weighed = {name for name, weight in played.trace.about["rewards"].items() if weight}
    assert weighed - set(played.terms) == ({ONLY_IN_3} if played.name == "ant" else set())
    for name, values in played.terms.items():
        rounding = FAR_TARGET_ROUNDING if name == "progress" else 1e-6
        np.testing.assert_allclose(values, recorded[name], rtol=1e-3, atol=rounding, err_msg=name)


def test_what_release_3_adds_to_the_ants_reward_is_two_off_for_a_fall() -> None:
    trace = Trace.read(DATA / "isaaclab3_ant.npz")
    column = list(trace.about["rewards"]).index(ONLY_IN_3)
    assert trace["terminated"].any()
    assert trace["reward_terms"][..., column] == pytest.approx(-2.0 * trace["terminated"])


def test_actions_mean_the_same(played: SimpleNamespace) -> None:
    (term,) = played.contract.actions
    order = played.trace.action_order(term.joint_names)
    ours = np.clip(played.targets, -EFFORT_IN_3, EFFORT_IN_3) if played.name == "ant" else played.targets
    assert played.name != "ant" or np.abs(played.targets).max() > EFFORT_IN_3, "2.x does not cut them off"
    np.testing.assert_allclose(ours, played.trace["target"][..., order], rtol=1e-5, atol=1e-5)


def test_the_logged_tracking_error_is_release_2s(played: SimpleNamespace) -> None:
    """2.x logs the errors' sum over the longest time between commands, 3.0 their mean over the episode."""
    theirs, begun = played.trace["logged_error_vel_xy"], np.zeros(played.terminated.shape[1], int)
    compared = 0
    for step, ended in enumerate(played.terminated | played.truncated):
        if ended.sum() == 1 and played.trace.about["resampling_time_s"]:
            first = begun[ended][0]
            counted = step - first + (first > 0)
            scale = played.contract.timing.control_dt / played.trace.about["resampling_time_s"][1]
            mean = played.logs[step]["Metrics/base_velocity/error_vel_xy"] / scale / counted
            assert mean == pytest.approx(theirs[step], rel=1e-4)
            compared += 1
        begun[ended] = step + 1
    assert compared > 0 or played.name != "anymal_c_flat"


def test_episodes_end_in_the_same_steps(played: SimpleNamespace) -> None:
    np.testing.assert_array_equal(played.terminated, played.trace["terminated"])
    np.testing.assert_array_equal(played.truncated & ~played.terminated, played.trace["truncated"] & ~played.terminated)
    assert played.name == "anymal_c_rough" or played.truncated.any()
