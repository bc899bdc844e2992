"""``gaitway export``: any checkpoint in, proven files out, without a task or a simulator."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gaitway.ledger import Ledger, RunRecord

CHECKPOINTS = Path(__file__).resolve().parents[2] / "fixtures" / "checkpoints"


def test_a_checkpoint_becomes_files_that_answer_as_its_library_did(gaitway: Callable, tmp_path: Path) -> None:
    import onnxruntime

    case = CHECKPOINTS / "skrl-2.1.1-shared"
    ran = gaitway("export", str(case / "model.pt"), "--output", str(tmp_path / "out"), "--json")
    assert ran.code == 0, ran.err
    assert ran.json["library"] == "skrl 1.4-2.x"
    assert ran.json["parity"]["passed"] is True and ran.json["parity"]["observations"] == "drawn"
    assert ran.json["network"]["normalizer"] == "running_standard_scaler"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["contract.json", "policy.onnx", "policy.pt"]
    session = onnxruntime.InferenceSession(ran.json["files"]["onnx"], providers=["CPUExecutionProvider"])
    observations = np.load(CHECKPOINTS / "observations.npz")["observations"]
    actions = session.run(["actions"], {"obs": observations})[0]
    np.testing.assert_allclose(actions, np.load(case / "actions.npz")["actions"], rtol=0, atol=1e-6)


def test_the_answer_for_people_names_files_and_parity(
    gaitway: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = gaitway("export", str(CHECKPOINTS / "rsl_rl-2.3.3" / "model.pt"))
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "policy      mlp: 12 observations, 4 actions; layers 12-16-8-4, elu"
    assert "activation from: params/agent.yaml" in ran.out and "normaliser: none in the checkpoint" in ran.out
    assert f"onnx        {Path('exported/policy.onnx')}" in lines
    assert any(line.startswith("parity      largest difference ") for line in lines)
    assert ran.err.startswith("next: gaitway infer --checkpoint-uri ")
    contract = json.loads((tmp_path / "exported" / "contract.json").read_text())
    assert "observations" in contract["unknown"] and contract["source"]["checkpoint"] == "model.pt"


@pytest.mark.parametrize("said", ["flag", "environment"])
def test_what_comes_next_says_what_this_export_had_to_be_told(
    gaitway: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(CHECKPOINTS / "rsl_rl-2.3.3" / "model.pt", "model_3.pt")
    words = ("--activation", "elu") if said == "flag" else ()
    if said == "environment":
        monkeypatch.setenv("GAITWAY_ACTIVATION", "elu")
    ran = gaitway("export", "model_3.pt", *words, "--format", "onnx", "--json")
    assert ran.code == 0, ran.err
    expected = "gaitway infer --checkpoint-uri model_3.pt --task TASK"
    assert ran.json["next"] == expected + (" --activation elu --format onnx" if words else " --format onnx")


@pytest.mark.parametrize(
    "arguments", [("export", "a-1@3", "--activation", "elu", "--output", "exported"), ("checkpoints", "a-1")]
)
def test_what_comes_next_finds_the_task_that_the_run_found(
    gaitway: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = Ledger.at_home(os.environ)
    folder = ledger.reserve("a", "a-1") / "outputs" / "checkpoints"
    ledger.write(RunRecord(name="a-1", platform="local", kind="train", task="T", created="", command=("gaitway",)))
    settings = {"imports": {"value": ["my_tasks"], "origin": "cli --import", "shadowed": []}}
    (ledger.run_dir("a-1") / "settings.json").write_text(json.dumps(settings))
    folder.mkdir(parents=True)
    shutil.copy(CHECKPOINTS / "rsl_rl-2.3.3" / "model.pt", folder / "model_3.pt")
    ran = gaitway(*arguments)
    assert ran.code == 0, ran.err
    assert "next: gaitway infer " in ran.err and "--import my_tasks" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "does not tell its network's activation"),
        (("--activation", "eluu"), "unknown activation 'eluu'"),
        (("--checkpoint-sha256", "0" * 64), "sha256|SHA-256|hash"),
    ],
)
def test_a_refusal_leaves_nothing_behind(
    gaitway: Callable, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    shutil.copy(CHECKPOINTS / "rsl_rl-5.5.1-normalized" / "model.pt", tmp_path / "model.pt")
    ran = gaitway("export", str(tmp_path / "model.pt"), "--output", str(tmp_path / "out"), *arguments)
    assert ran.code in (2, 4) and ran.out == ""
    assert re.search(message, ran.err)
    assert not (tmp_path / "out").exists()


def test_a_value_of_the_environment_is_told_by_its_variable(gaitway: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAITWAY_ACTIVATION", "eluu")
    ran = gaitway("export", str(CHECKPOINTS / "rsl_rl-5.5.1-normalized" / "model.pt"))
    assert (ran.code, "  from: env GAITWAY_ACTIVATION\n" in ran.err) == (2, True), ran.err


def test_without_torch_the_error_says_what_to_install() -> None:
    code = "import sys; sys.modules['torch'] = None; from gaitway.cli.main import main; sys.exit(main(sys.argv[1:]))"
    checkpoint = str(CHECKPOINTS / "rsl_rl-2.3.3" / "model.pt")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, "export", checkpoint]
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert done.returncode == 3
    assert "not installed: torch" in done.stderr and "pip install -e '" in done.stderr


def test_an_output_that_is_no_folder_is_a_sentence(gaitway: Callable, tmp_path: Path) -> None:
    model = CHECKPOINTS / "rsl_rl-5.5.1-normalized" / "model.pt"
    (tmp_path / "taken").write_text("")
    ran = gaitway("export", str(model), "--output", str(tmp_path / "taken"))
    assert (ran.code, ran.out) == (3, "")
    assert "the exports cannot be written: File exists" in ran.err


def test_a_tilde_in_the_output_is_the_home_folder(
    gaitway: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = CHECKPOINTS / "rsl_rl-5.5.1-normalized" / "model.pt"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert gaitway("export", str(model), "--output=~/x").code == 0
    assert (tmp_path / "x" / "policy.onnx").is_file()
    assert not (tmp_path / "~").exists()
