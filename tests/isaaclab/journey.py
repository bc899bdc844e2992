"""From training to a validated export on the real Isaac Lab, with both learners and an eviction on the way."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from .conftest import PATIENCE_S, ROOT, Lab, Ran

TASK = "Isaac-Cartpole-v0"
ITERATIONS = 90
BEST_RETURN = 5.0
"""Five seconds of one a second; every fault costs something."""

LOSSES: Mapping[str, str] = {"rsl_rl": "Loss/value", "skrl": "Loss / Value loss"}


@dataclass(frozen=True)
class Journey:
    """A training that was ended by its platform and went on."""

    backend: str
    lab: Lab
    evicted_at: int
    """Iterations done when SIGTERM was sent."""
    first: Ran
    second: Ran

    @property
    def checkpoint(self) -> str:
        uri: str = self.second.document["final_checkpoint"]["uri"]
        return uri

    def history(self, metric: str) -> list[tuple[int, float]]:
        """Every value of a metric that the run has, by step."""
        client = MlflowClient(f"sqlite:///{self.lab.home / 'mlflow.db'}")
        found = client.get_metric_history(self.second.document["mlflow_run_id"], metric)
        return sorted((point.step, point.value) for point in found)


def undertake(backend: str, lab: Lab) -> Journey:
    """Train, end the training with SIGTERM at a random iteration, and go on."""
    words = ["train", "--task", TASK, "--simulator", "isaaclab", "--backend", backend, "--num-envs", "512"]
    words += ["--max-iterations", str(ITERATIONS), "--save-interval", "1000", "--name", f"evicted-{backend}"]
    started = lab.start(*words)
    evicted_at = evict(lab.run_dir(f"evicted-{backend}"), after=random.randint(15, 60))
    first = lab.finish(started)
    assert first.code == 130, first.talk
    where = first.document["final_checkpoint"]["uri"]
    words[-1] = f"resumed-{backend}"
    second = lab.gaitway(*words, "--checkpoint-mode", "resume", "--checkpoint-uri", where)
    assert second.code == 0, second.talk
    return Journey(backend, lab, evicted_at, first, second)


def evict(run_dir: Path, after: int) -> int:
    """Send SIGTERM to a run's process once it has done some iterations; return how many it had told of."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        done = iterations_told(run_dir / "outputs" / "progress.jsonl")
        if done >= after:
            os.kill(json.loads((run_dir / "process.json").read_text())["pid"], signal.SIGTERM)
            return done
        time.sleep(0.05)
    raise AssertionError(f"{run_dir} never came to iteration {after}")


def iterations_told(progress: Path) -> int:
    if not progress.exists():
        return 0
    lines = [json.loads(line) for line in progress.read_text().splitlines() if line.endswith("}")]
    return max((line["iteration"] for line in lines if line["phase"] == "train" and "iteration" in line), default=0)


def learning_rate_of(backend: str) -> str:
    return {"rsl_rl": "Loss/learning_rate", "skrl": "Learning / Learning rate"}[backend]


def own_python(simulator: str) -> list[str]:
    """The embedded simulator runs in gaitway's own Python."""
    return [] if simulator == "isaaclab" else ["--python", sys.executable]


def drawn(states: Path, target: Path) -> Any:
    """Draw recorded states with gaitway's own Python; return how many frames were made, and how many are black."""
    words = [sys.executable, "-m", "gaitway_runtime.evaluation.filming", str(states), str(target), "rays"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src/training")}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    made = json.loads(done.stdout)
    return {name: made[name] for name in ("frames", "black")}


class JourneyTests:
    """What holds for either learner; a file each, so that the two run side by side."""

    backend: str

    @pytest.fixture(scope="class")
    @classmethod
    def journey(cls, lab: Lab) -> Journey:
        return undertake(cls.backend, lab)

    def test_an_eviction_loses_nothing(self, journey: Journey) -> None:
        first, second = journey.first.document, journey.second.document
        assert first["status"] == "cancelled"
        # The iteration that was under way is finished, and all that is done is in the checkpoint.
        assert journey.evicted_at <= first["iterations"] <= journey.evicted_at + 2
        assert first["final_checkpoint"]["iteration"] == first["iterations"] - 1
        assert (second["status"], second["iterations"]) == ("succeeded", ITERATIONS)
        assert second["final_checkpoint"]["iteration"] == ITERATIONS - 1
        assert first["steps"] + second["steps"] == ITERATIONS * 16 * 512

    def test_one_run_has_every_iteration_once(self, journey: Journey) -> None:
        assert journey.first.document["mlflow_run_id"] == journey.second.document["mlflow_run_id"]
        assert [step for step, _ in journey.history(LOSSES[journey.backend])] == list(range(ITERATIONS))
        # A mean reward is there from the first episode's end on.
        rewards = [step for step, _ in journey.history("Train/mean_reward")]
        assert rewards == sorted(set(rewards))
        assert rewards[-1] == ITERATIONS - 1

    def test_the_learning_goes_on_where_it_stopped(self, journey: Journey) -> None:
        """A learner that began anew has a value loss that is tens of times as high, and a policy that earns nothing."""
        cut = journey.first.document["iterations"]
        losses = [value for _, value in journey.history(LOSSES[journey.backend])]
        before, after = losses[cut - 5 : cut], losses[cut : cut + 5]
        beginning = fmean(losses[:5])
        assert abs(fmean(after) - fmean(before)) < 0.5 * max(beginning, fmean(before))
        rates = dict(journey.history(learning_rate_of(journey.backend)))
        assert math.isclose(rates[cut], rates[cut - 1], rel_tol=2.3)  # one adaptive step is a factor of 1.5, or two

    def test_what_a_reader_needs_is_beside_the_model(self, journey: Journey) -> None:
        outputs = journey.lab.run_dir(f"resumed-{journey.backend}") / "outputs"
        assert journey.second.document["registered_model"]["name"] == "isaac-cartpole-v0"
        assert (outputs / "params" / "agent.yaml").is_file()
        assert list((outputs / "tensorboard").glob("events.out.tfevents.*"))
        assert not list((outputs / "checkpoints").glob("*.partial"))

    @pytest.mark.parametrize("simulator", ["isaaclab", "mujoco"])
    def test_the_policy_passes_the_gate_in_both_simulators(self, journey: Journey, simulator: str) -> None:
        words = ["validate", "--task", TASK, "--checkpoint-uri", journey.checkpoint, "--simulator", simulator]
        ran = journey.lab.gaitway(*words, *own_python(simulator))
        assert ran.code == 0, ran.talk
        found = ran.document["metrics"]
        assert found["simulator"].startswith(simulator)
        assert found["total_episodes"] == 100
        assert 4.8 <= found["mean_reward"] <= BEST_RETURN
        assert 4.5 <= found["reward_per_second"] * 5 <= BEST_RETURN

    def test_the_exports_compute_what_the_checkpoint_does_and_are_played_in_isaac_lab(self, journey: Journey) -> None:
        words = ["infer", "--task", TASK, "--checkpoint-uri", journey.checkpoint, "--simulator", "isaaclab"]
        ran = journey.lab.gaitway(*words, "--max-steps", "320", "--video-length", "30")
        assert ran.code == 0, ran.talk
        outputs = Path(ran.document["run_dir"]) / "outputs"
        made: Sequence[str] = ran.document["artifacts"]
        assert {"exported/policy.onnx", "exported/policy.pt", "metrics/onnx_metrics.json"} <= set(made)
        assert not (outputs / "exported" / "policy.onnx.data").exists()
        for name in ("onnx", "jit"):
            metrics: Mapping[str, Any] = ran.document["metrics"][name]
            assert metrics["total_episodes"] == 4
            assert metrics["parity"]["passed"]
        # MuJoCo 4 draws; Isaac Lab 3.0 has an older one, so what happened is kept for another machine.
        states = outputs / "videos" / "onnx_play" / "states.npz"
        assert drawn(states, outputs / "play.mp4") == {"frames": 30, "black": 0}
