"""A sweep on this machine: its trials are runs, none is lost or doubled, and the best is found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gaitway import locks
from gaitway.ledger import Ledger
from gaitway.platforms.local import processes
from gaitway.progress import reports
from gaitway.variations import make_design

ROOT = Path(__file__).parents[3]
RATE = "agent.algorithm.learning_rate"
TWELVE = ("--vary", f"{RATE}=log(1e-5,1e-1)", "--trials", "12")

HELD = "outputs/checkpoints/model_5.pt"
"""Newest checkpoint of a run that waits."""

Sweep = Callable[..., Any]


@pytest.fixture
def sweep(gaitway: Callable[..., Any], stand_in: list[str]) -> Sweep:
    """Return a function that sweeps over trainings that take milliseconds."""
    return lambda *words: gaitway("sweep", "train", *stand_in, "-m", "10", "--set", "do=learn", *words)


def names(home: Path) -> list[str]:
    return Ledger(home).names()


def test_a_grid_is_tried_whole_and_ends_with_a_leaderboard_and_the_winners_command(sweep: Sweep, home: Path) -> None:
    ran = sweep("--vary", f"{RATE}=1e-4,1e-3,1e-2", "--vary", "num_envs=16,32", "--name", "grid")
    assert ran.code == 0, ran.err
    first, *others = [line.split() for line in ran.out.splitlines() if line.strip().startswith(tuple("123456"))]
    assert len(others) == 5
    assert first[2] == "1e-3"
    assert names(home) == [f"grid-{number:03d}" for number in range(1, 7)]
    assert f"importance of {RATE}: " in ran.out
    (command,) = [line for line in ran.err.splitlines() if line.startswith("the winner in full:")]
    assert f"--set {RATE}=1e-3" in command
    assert "--max-iterations" not in command
    assert "--skip-register-checkpoint" not in command


def test_each_trial_is_an_ordinary_run_that_registers_nothing(sweep: Sweep, gaitway: Any, home: Path) -> None:
    assert sweep("--vary", "num_envs=16,32", "--set", f"{RATE}=1e-3", "--name", "s", "-r", "walker").code == 0
    listed = {run["run"]: run for run in gaitway("runs", "--json").json}
    assert {name: run["status"] for name, run in listed.items()} == {"s-001": "succeeded", "s-002": "succeeded"}
    job = (home / "runs" / "s-001" / "job.json").read_text()
    assert '"skip_register_checkpoint": true' in job
    assert "walker" not in job


def test_seeds_of_a_trial_count_as_one_with_their_mean_and_spread(sweep: Sweep, home: Path) -> None:
    ran = sweep("--vary", f"{RATE}=1e-3,1e-2", "--seeds", "3", "--seed", "40", "--name", "s", "--json")
    best = ran.json["winner"]
    assert best["values"] == {RATE: "1e-3"}
    assert best["by_seed"] == pytest.approx([4.0, 4.001, 4.002])
    assert (best["value"], best["spread"]) == pytest.approx((4.001, 0.001))
    assert len(names(home)) == 6


def test_the_same_command_adds_trials_and_repeats_none(sweep: Sweep, home: Path) -> None:
    vary = ("--vary", f"{RATE}=log(1e-5,1e-1)")
    sweep(*vary, "--trials", "2", "--name", "s")
    before = {name: (home / "runs" / name / "job.json").stat().st_mtime_ns for name in names(home)}
    ran = sweep(*vary, "--trials", "4", "--name", "s", "--json")
    assert ran.json["done"] == 4
    assert [trial["trial"] for trial in ran.json["leaderboard"]] != []
    after = {name: (home / "runs" / name / "job.json").stat().st_mtime_ns for name in names(home)}
    assert len(after) == 4
    assert before.items() <= after.items()


def test_another_sweep_of_the_same_name_is_refused(sweep: Sweep) -> None:
    sweep("--vary", "num_envs=16", "--set", f"{RATE}=1e-3", "--name", "s")
    ran = sweep("--vary", "num_envs=16,32", "--set", f"{RATE}=1e-3", "--name", "s")
    assert ran.code == 2
    assert "sweep 's' is another one: vary differ" in ran.err


def test_a_trial_that_fails_by_itself_is_ranked_last_and_the_others_go_on(sweep: Sweep) -> None:
    ran = sweep("--vary", f"{RATE}=1e-3,1e-1", "--set", "diverge=0.05", "--name", "s", "--json")
    assert ran.code == 0
    last = ran.json["leaderboard"][-1]
    assert (last["status"], last["reason"], last["values"]) == ("failed", "it broke", {RATE: "1e-1"})


def test_a_trial_that_does_worse_than_the_median_is_ended_early(sweep: Sweep, gaitway: Any) -> None:
    vary = f"{RATE}=1e-3,1.1e-3,0.9e-3,1e-9"
    seed = next(seed for seed in range(99) if order(vary, seed)[-1] == "1e-9")
    held = ("--set", "hold=4", "--set", "hold_below=1e-8")
    ran = sweep("--vary", vary, "--seed", str(seed), "--prune", *held, "--name", "s", "--json")
    assert ran.code == 0, ran.err
    assert [trial["status"] for trial in ran.json["leaderboard"]] == ["completed"] * 3 + ["pruned"]
    last = ran.json["leaderboard"][-1]
    assert (last["values"], last["reason"]) == ({RATE: "1e-9"}, "pruned at iteration 2")
    assert gaitway("status", "s-004", "--json").json["status"] == "cancelled"


def order(vary: str, seed: int) -> list[str]:
    design = make_design([vary], first_seed=seed, seeds=1, trials=None)
    return [values[RATE] for values in design.assignments()]


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        ("agent.algorithm.learning_rat=1,2", "did you mean algorithm.learning_rate?"),
        ("num_env=1,2", "did you mean num_envs?"),
        ("num_envs=0,16", "--vary num_envs=0,16"),
        (f"{RATE}=fast,slow", f"--vary {RATE}=fast,slow"),
        (f"{RATE}=log(0,1)", "0 < LOW < HIGH"),
        (f"{RATE}=lin(0,1)", "uniform(LOW,HIGH)"),
        ("seed=1,2", "--seeds N"),
        ("num_envs", "KEY=A,B,C"),
    ],
)
def test_a_variation_that_cannot_be_is_refused_before_anything_starts(
    gaitway: Any, home: Path, vary: str, said: str
) -> None:
    ran = gaitway("sweep", "train", "--task", "Isaac-Cartpole-v0", "--vary", "num_envs=16,32", "--vary", vary)
    assert ran.code == 2
    assert said in ran.err
    assert not home.exists()


def test_an_objective_that_no_run_reports_ends_the_sweep_with_its_first_run(sweep: Sweep, home: Path) -> None:
    ran = sweep("--vary", f"{RATE}=1e-3,1e-2", "--objective", "mean_rewrd", "--name", "s")
    assert ran.code == 2
    assert "did you mean mean_reward or Train/mean_reward?" in ran.err
    assert len(names(home)) == 1


def test_a_dry_run_shows_the_trials_and_leaves_nothing(sweep: Sweep, home: Path) -> None:
    ran = sweep("--vary", f"{RATE}=1e-3,1e-2", "--dry-run", "--json")
    assert ran.json["sweep"]["trials"] == 2
    assert sorted(each[RATE] for each in ran.json["sweep"]["assignments"]) == ["1e-2", "1e-3"]
    assert not home.exists()


@pytest.mark.slow
def test_twelve_trials_survive_two_kills_of_the_command_and_two_of_trials(
    sweep: Sweep, stand_in: list[str], home: Path
) -> None:
    words = [*stand_in, "-m", "10", "--set", "do=learn", "--set", "hold=5", "--name", "s", *TWELVE]
    command = [sys.executable, "-m", "gaitway", "sweep", "train", *words, "--json"]
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'src' / 'training'}"}

    def begin() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    first = begin()
    kill_run(wait_for(home / "runs" / "s-001" / HELD))
    running = wait_for(home / "runs" / "s-002" / HELD)
    first.kill()
    first.wait()
    second = begin()
    wait_for(lock := home / "sweeps" / "s" / "lock", lambda: bool(locks.is_taken(lock)))
    second.kill()
    second.wait()
    kill_run(running)
    (home / "go").touch()
    ran = sweep("--set", "hold=5", "--name", "s", *TWELVE, "--json")
    assert ran.code == 0, ran.err
    trials = ran.json["leaderboard"]
    assert [trial["status"] for trial in trials] == ["completed"] * 12
    assert sorted(trial["trial"] for trial in trials) == list(range(1, 13))
    assert len({trial["values"][RATE] for trial in trials}) == 12
    assert 3e-4 < float(ran.json["winner"]["values"][RATE]) < 3e-3
    resumed = ["s-001-a2", "s-002-a2"]
    assert names(home) == sorted([*(f"s-{number:03d}" for number in range(1, 13)), *resumed])
    for run in (*resumed, *(f"s-{number:03d}" for number in range(3, 13))):
        assert [record["iteration"] for record in reports(home / "runs" / run)][-1] == 10
    for run in resumed:
        assert next(reports(home / "runs" / run))["iteration"] == 7, "it continues where it was ended"
    for folder in (home / "runs").iterdir():
        wait_for(folder, lambda folder=folder: not runs_on(folder))


def runs_on(folder: Path) -> bool:
    """Whether a process of a run is left."""
    leader = processes.recorded(folder)
    return leader is not None and bool(processes.members(leader))


def kill_run(checkpoint: Path) -> None:
    os.killpg(int((checkpoint.parents[2] / "pid").read_text()), signal.SIGKILL)


def wait_for(path: Path, condition: Callable[[], bool] = lambda: True) -> Path:
    deadline = time.monotonic() + 60
    while not (path.exists() and condition()):
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)
    return path
