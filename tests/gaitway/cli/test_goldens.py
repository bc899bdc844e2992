"""Texts that users read, held as files: help, errors, plans."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gaitway.cli.verbs import VERBS

CARTPOLE = ["--task", "Isaac-Cartpole-v0"]
ERRORS = (
    ["trian"],
    ["tasks", "--jsn"],
    ["status"],
    ["status", "nothing"],
    ["status", "../../etc"],
    ["train", "--num-env", "64"],
    ["train", "--headless"],
    ["train", "agent.max_iterations=5"],
    ["train", "resource=large"],
    ["train", "--num-envs", "-5"],
    ["train", "--max-iterations", "many"],
    ["train", "--backend", "rslrl"],
    ["train", "--on", "cloud"],
    ["train", "--task", "Isaac-Cartpol-v0"],
    ["train", "--task", "Isaac-Repose-Cube-Allegro-v0"],
    ["train", *CARTPOLE, "--checkpoint-mode", "resume"],
    ["train", *CARTPOLE, "--checkpoint-uri", "runs:/0123/checkpoints/final"],
    ["train", *CARTPOLE, "--register-checkpoint", "mine", "--skip-register-checkpoint"],
    ["train", *CARTPOLE, "--training-path", "nowhere"],
    ["train", *CARTPOLE, "--with", "nowhere"],
    ["infer", "--format", "tflite"],
    ["infer", *CARTPOLE],
    ["download", "nothing"],
)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


def test_help(gaitway: Callable, golden: Callable[[str, str], None]) -> None:
    golden("help/gaitway.txt", gaitway("--help").out)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(gaitway: Callable, golden: Callable[[str, str], None], verb: str) -> None:
    golden(f"help/{verb}.txt", gaitway(verb, "--help").out)


@pytest.mark.parametrize("verb", ["train", "validate", "infer", "dump-contract", "config"])
def test_every_option_of_a_verb(gaitway: Callable, golden: Callable[[str, str], None], verb: str) -> None:
    golden(f"help/{verb}-all.txt", gaitway(verb, "--help-all").out)


def test_errors(gaitway: Callable, golden: Callable[[str, str], None], home: Path) -> None:
    parts = []
    for words in ERRORS:
        ran = gaitway(*words)
        assert ran.out == ""
        parts.append(
            f"$ gaitway {' '.join(words)}\n{ran.err.replace(str(home), '$GAITWAY_HOME')}exit code {ran.code}\n"
        )
    golden("errors.txt", "\n".join(parts))


def test_a_dry_run(gaitway: Callable, golden: Callable[[str, str], None], home: Path, tmp_path: Path) -> None:
    (tmp_path / "src/training/gaitway_runtime").mkdir(parents=True)
    (tmp_path / "src/training/gaitway_runtime/__init__.py").write_text("")
    ran = gaitway("train", *CARTPOLE, "--seed", "1", "-m", "60", "--save-interval", "20", "--dry-run")
    plan = re.sub(r"\b[0-9a-f]{32}\b", "<run_id>", ran.out)
    golden("plans/train-local.txt", plan.replace(str(home), "$GAITWAY_HOME").replace(sys.executable, "python"))
