"""For each checkpoint that a real library wrote: the exported files answer as the library itself did."""

from pathlib import Path

import numpy as np
import pytest
from gaitway_runtime.policies.export import export_policy
from gaitway_runtime.policies.parity import measure, observations_from_statistics
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.policies.sessions import open_session
from gaitway_runtime.spec.contract import PolicyContract
from numpy.typing import NDArray

from .samples import ALL_CASES, CASES, CHECKPOINTS, RECURRENT, library_actions, observations

STEPS, WORLDS = 100, 10
RESET_STEPS = (30, 60)
"""As in ``fixtures/checkpoint_writers/common.py``."""


def play(session, case: str) -> NDArray[np.float32]:
    """The actions of a session on the stored observations, laid out as the library's own."""
    if case not in RECURRENT:
        return session.act(observations())
    actions = []
    for step, batch in enumerate(observations().reshape(STEPS, WORLDS, -1)):
        if step in RESET_STEPS:
            session.reset(np.arange(WORLDS) % 2 == 0)
        actions.append(session.act(batch))
    return np.stack(actions)


@pytest.mark.parametrize("case", ALL_CASES)
def test_exports_agree_with_the_library_on_a_thousand_observations(case: str, tmp_path: Path) -> None:
    policy = read_checkpoint(CHECKPOINTS / case / "model.pt")
    made = export_policy(policy, PolicyContract.of_unknown_task(), tmp_path)
    sessions = {name: open_session(made[name]) for name in ("onnx", "jit")}
    expected = library_actions(case)
    assert expected.size == 1000 * 4
    for name, session in sessions.items():
        actions = play(session, case)
        assert actions.dtype == np.float32
        np.testing.assert_allclose(actions, expected, rtol=0, atol=1e-6, err_msg=name)
    report = measure(policy, sessions, observations_from_statistics(policy, 128), source="drawn")
    assert report.passed, report.as_dict()


def test_the_fixtures_cover_what_the_readers_promise() -> None:
    assert {case.rsplit("-", 1)[0] if case.count("-") > 1 else case for case in CASES} == {
        "rsl_rl-2.3.3",
        "rsl_rl-3.1.2",
        "rsl_rl-4.0.1",
        "rsl_rl-5.5.1",
        "skrl-1.4.3",
        "skrl-2.1.1",
    }
    assert sum(path.stat().st_size for path in CHECKPOINTS.rglob("*") if path.is_file()) < 1.5e6


@pytest.mark.parametrize("case", ["skrl-1.4.3-shared", "skrl-2.1.1-shared"])
def test_the_stored_observations_reach_skrls_clamp(case: str) -> None:
    normalizer = read_checkpoint(CHECKPOINTS / case / "model.pt").normalizer
    assert normalizer is not None and normalizer.clip == 5.0
    scaled = (observations() - normalizer.mean.numpy()) / (normalizer.std.numpy() + normalizer.eps)
    assert (np.abs(scaled) > normalizer.clip).any(axis=1).sum() > 10
