"""A reward of the user's own: a function in a file, added to a task by one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gaitway_runtime.simulators.isaaclab import _check_rewards
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.tasks import own_rewards
from gaitway_runtime.tasks.environment import Reward, find_environment
from gaitway_runtime.tasks.own_rewards import add_reward

TASK = "Isaac-Cartpole-v0"
MODULE = """
import numpy as np
from functools import partial
from gaitway_runtime.tasks.environment import Reward
from gaitway_runtime.tasks.own_rewards import add_reward


def calm(state, speed: float):
    return (np.abs(state.joint_vel).max(axis=1) < speed).astype(float)


add_reward("Isaac-Cartpole-v0", Reward("calm", partial(calm, speed=0.5), 1.0))
"""


@pytest.fixture(autouse=True)
def nothing_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_rewards, "ADDED", {})


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run ``gaitway`` with the module, in a process of its own: what it adds stays there."""
    (tmp_path / "my_rewards.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    brought = ("--with", "my_rewards.py", "--import", "my_rewards")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "gaitway", *words, *brought], capture_output=True, text=True)

    return run


def test_the_term_is_shown_tuned_and_a_misspelt_one_refused(apart: Any) -> None:
    shown = apart("tasks", TASK).stdout.splitlines()
    assert {"env.rewards.calm.weight=1", "env.rewards.calm.params.speed=0.5"} <= set(shown)
    train = ("train", "--task", TASK, "--dry-run", "--json", "--set")
    planned = apart(*train, "env.rewards.calm.params.speed=0.2")
    assert json.loads(planned.stdout)["plan"]["settings"]["overrides"]["value"] == ["env.rewards.calm.params.speed=0.2"]
    refused = apart(*train, "env.rewards.clam.weight=2")
    assert refused.returncode == 2
    assert "did you mean rewards.calm.weight?" in refused.stderr


def test_a_module_that_cannot_be_imported_here_leaves_the_check_to_the_job(apart: Any, tmp_path: Path) -> None:
    (tmp_path / "my_rewards.py").write_text("import a_package_of_the_cluster")
    planned = apart("train", "--task", TASK, "--dry-run", "--set", "env.rewards.calm.weight=2")
    assert planned.returncode == 0, planned.stderr
    assert "--set is not checked here" in " ".join(planned.stdout.split())


def test_the_term_is_part_of_what_is_reported() -> None:
    add_reward("Isaac-Cartpole", Reward("always", lambda state: np.ones(len(state.joint_pos)), 3.0))
    env = MujocoEnv(find_environment(TASK), num_envs=2, training=False, seed=1, nthread=1)
    env.reset(1)
    step = env.step(np.zeros((2, 1), np.float32))
    env.close()
    assert step.reward_terms["always"] == pytest.approx(3.0 / 60)
    assert step.task_rewards == pytest.approx(sum(step.reward_terms.values()))


def test_a_name_that_is_taken_and_a_task_that_there_is_not_are_refused() -> None:
    with pytest.raises(UsageError, match="has a reward term 'alive' already"):
        add_reward(TASK, Reward("alive", np.ones_like, 1.0))
    with pytest.raises(UsageError, match="unknown to the embedded simulator"):
        add_reward("Isaac-Cartpol-v0", Reward("mine", np.ones_like, 1.0))


def test_isaac_lab_refuses_what_would_mean_nothing_there() -> None:
    job: Any = SimpleNamespace(task=TASK, imports=("my_rewards",))
    _check_rewards(job)
    add_reward(TASK, Reward("mine", np.ones_like, 1.0))
    with pytest.raises(UsageError, match="mine: a reward that add_reward adds") as refused:
        _check_rewards(job)
    assert refused.value.source == "--import my_rewards"
