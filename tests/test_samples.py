"""The policies that the repository carries: they pass their gate, and a wrong contract is found out."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gaitway_runtime.evaluation.validation import validate_checkpoint
from gaitway_runtime.spec.job import ValidateJob

from gaitway.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = {
    "Isaac-Velocity-Flat-Anymal-C-v0": ROOT / "samples" / "anymal-c-flat" / "model_194.pt",
    "Isaac-Velocity-Rough-Anymal-C-v0": ROOT / "samples" / "anymal-c-rough" / "model_999.pt",
    "Isaac-Velocity-Flat-Unitree-Go2-v0": ROOT / "samples" / "go2-flat" / "model_139.pt",
    "Isaac-Velocity-Rough-Unitree-Go2-v0": ROOT / "samples" / "go2-rough" / "model_699.pt",
    "Isaac-Velocity-Flat-H1-v0": ROOT / "samples" / "h1-flat" / "model_599.pt",
    "Isaac-Velocity-Flat-G1-v0": ROOT / "samples" / "g1-flat" / "model_479.pt",
    "Isaac-Velocity-Rough-H1-v0": ROOT / "samples" / "h1-rough" / "model_1199.pt",
}
FLAT, ROUGH, GO2, GO2_ROUGH, H1, G1, H1_ROUGH = SAMPLES
SCALE = 24
"""Robots side by side, and episodes: one each."""

pytestmark = pytest.mark.slow


def validate(task: str, *more: str) -> tuple[int, Any]:
    scale = ("--num-envs", str(SCALE), "--eval-episodes", str(SCALE))
    words = ("validate", "--task", task, "--checkpoint-uri", str(SAMPLES[task]), *scale, *more, "--json")
    done = subprocess.run([sys.executable, "-m", "gaitway", *words], capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


def swapped(value: Any, names: dict[str, str]) -> Any:
    """Return a contract with joints renamed wherever they are named."""
    if isinstance(value, dict):
        return {key: swapped(part, names) for key, part in value.items()}
    if isinstance(value, list):
        return [swapped(part, names) for part in value]
    return names.get(value, value) if isinstance(value, str) else value


def test_samples_are_small() -> None:
    assert all(sample.stat().st_size < 1_000_000 for sample in SAMPLES.values())


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=lambda sample: sample.parent.name)
def test_a_sample_has_the_card_of_its_exam(sample: Path) -> None:
    card = (sample.parent / "CARD.md").read_text()
    assert "Gate met:" in card
    assert hashlib.sha256(sample.read_bytes()).hexdigest() in card


def test_the_command_says_that_the_quadruped_passes_its_gate_on_flat_ground() -> None:
    code, run = validate(FLAT)
    assert (code, run["passed"]) == (0, True)
    assert run["metrics"]["mean_reward"] >= 15


@pytest.mark.parametrize(
    ("task", "reward"), [(ROUGH, 15), (GO2_ROUGH, 20), (GO2, 30), (H1, 25), (G1, 25), (H1_ROUGH, 18)]
)
def test_each_other_robot_passes_its_gate(task: str, reward: float) -> None:
    """As the command judges it, without the films, which take most of its time."""
    job = ValidateJob(task=task, simulator="mujoco")
    found = validate_checkpoint(job, SAMPLES[task], episodes=SCALE, num_envs=SCALE)
    assert found.verdict.passed, found.verdict
    assert found.metrics.mean_reward is not None and found.metrics.mean_reward >= reward


def test_two_joints_swapped_in_its_contract_are_found_out(tmp_path: Path) -> None:
    assert main(["export", str(SAMPLES[FLAT]), "--output", str(tmp_path)]) == 0
    contract = json.loads((tmp_path / "contract.json").read_text())
    wrong = tmp_path / "swapped.json"
    wrong.write_text(json.dumps(swapped(contract, {"LF_HFE": "LF_KFE", "LF_KFE": "LF_HFE"})))
    code, run = validate(FLAT, "--contract", str(wrong))
    assert (code, run["passed"]) == (5, False)
    assert "joint order" in run["error"]["hint"]
    assert "joint order" in (Path(run["run_dir"]) / "outputs" / "report.html").read_text()
