"""``train`` and its kin: what is planned, what is refused, what is answered, what is left behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gaitway_runtime.spec.catalog import find
from gaitway_runtime.spec.contract import PolicyContract

from gaitway.run_handle import Run

SCALE = find("Isaac-Cartpole-v0").local
Gaitway = Callable[..., "object"]
FIELDS = {
    "run",
    "platform",
    "status",
    "task",
    "run_dir",
    "experiment",
    "mlflow_run_id",
    "iterations",
    "steps",
    "seconds",
    "final_checkpoint",
    "registered_model",
    "payload_sha256",
    "next",
}


def job(ran: object) -> dict:
    """Return the job of a ``--dry-run --json``."""
    body = ran.json["request"]["body"]
    return json.loads(body[body.index("{") :])["job"]


def test_a_dry_run_leaves_no_trace(gaitway: Gaitway, stand_in: list[str], home: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    ran = gaitway("train", *stand_in, "--dry-run")
    assert ran.code == 0
    assert ran.err == ""
    assert ran.out.startswith("Plan  train · isaac-cartpole-v0-1 → local\n")
    assert "python" in ran.out and '"task": "Isaac-Cartpole-v0"' in ran.out
    assert sorted(tmp_path.rglob("*")) == before
    assert not home.exists()


def test_a_dry_run_needs_neither_git_nor_terraform(
    gaitway: Gaitway, stand_in: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gaitway("train", *stand_in, "--dry-run").code == 0


def test_what_is_planned_is_what_is_submitted(gaitway: Gaitway, stand_in: list[str]) -> None:
    planned = gaitway("train", *stand_in, "--seed", "7", "--dry-run", "--json")
    done = gaitway("train", *stand_in, "--seed", "7", "--json")
    written = json.loads((Path(done.json["run_dir"]) / "job.json").read_text())
    assert written["job"] == job(planned)
    assert planned.json["plan"]["payload"]["sha256"] == done.json["payload_sha256"]


def test_a_laptop_gets_the_recipes_scale_and_the_plan_says_why(gaitway: Gaitway, stand_in: list[str]) -> None:
    settings = gaitway("train", *stand_in, "--dry-run", "--json").json["plan"]["settings"]
    assert settings["num_envs"]["value"] == SCALE.num_envs
    assert settings["num_envs"]["origin"] == f"local {SCALE.why}"
    assert settings["max_iterations"]["value"] == SCALE.max_iterations


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_a_named_scale_is_kept(
    gaitway: Gaitway, stand_in: list[str], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--num-envs", "2048"] if how == "flag" else []
    if how == "variable":
        monkeypatch.setenv("NUM_ENVS", "2048")
    settings = gaitway("train", *stand_in, *words, "--dry-run", "--json").json["plan"]["settings"]
    assert settings["num_envs"]["value"] == 2048
    assert settings["num_envs"]["origin"] == ("cli --num-envs" if how == "flag" else "env NUM_ENVS")
    assert settings["max_iterations"]["value"] == SCALE.max_iterations


def test_isaac_lab_keeps_the_clusters_scale_and_any_task(gaitway: Gaitway, stand_in: list[str]) -> None:
    ran = gaitway("train", *stand_in, "--task", "My-Own-v0", "--simulator", "isaaclab", "--dry-run", "--json")
    assert job(ran)["num_envs"] == 2048
    assert job(ran)["task"] == "My-Own-v0"


def test_every_flag_of_the_documents_is_taken(gaitway: Gaitway, stand_in: list[str]) -> None:
    ran = gaitway(
        *("train", *stand_in, "-n", "64", "-m", "600", "-c", "runs:/abc/checkpoints/final", "-M", "resume"),
        *("-r", "my-model", "-s", "--sleep-after-unpack", "7200", "--backend", "skrl", "--dry-run", "--json"),
        *("--azure-subscription-id", "0a1b2c3d-0000-4000-8000-000000000001"),
        *("--azure-resource-group", "rg-robotics", "--azure-workspace-name", "aml-robotics"),
    )
    asked = job(ran)
    assert (asked["num_envs"], asked["max_iterations"], asked["backend"]) == (64, 600, "skrl")
    assert (asked["checkpoint_uri"], asked["checkpoint_mode"]) == ("runs:/abc/checkpoints/final", "resume")
    assert (asked["register_checkpoint"], asked["run_smoke_test"]) == ("my-model", True)
    assert asked["sleep_after_unpack"] == 7200
    assert ran.json["plan"]["settings"]["azure_resource_group"]["value"] == "rg-robotics"


def test_inference_takes_its_own_short_flags(gaitway: Gaitway, stand_in: list[str]) -> None:
    words = ["-c", "runs:/a/b.pt", "-f", "onnx", "-m", "1000", "-v", "300", "-n", "8", "--dry-run", "--json"]
    asked = job(gaitway("infer", *stand_in, *words))
    assert (asked["format"], asked["max_steps"], asked["video_length"], asked["num_envs"]) == ("onnx", 1000, 300, 8)


def test_words_after_the_dashes_are_the_platforms_and_dry_run_counts_anywhere(
    gaitway: Gaitway, stand_in: list[str], home: Path
) -> None:
    ran = gaitway("train", *stand_in, "--", "azure_client_id=abc", "--dry-run", "other=1")
    assert ran.code == 0
    assert "note      not used on this machine: azure_client_id=abc other=1" in ran.out
    assert not home.exists()


def test_a_switch_can_be_turned_off_and_on(gaitway: Gaitway, stand_in: list[str]) -> None:
    assert job(gaitway("train", *stand_in, "--no-shaping", "--dry-run", "--json"))["shaping"] is False
    assert job(gaitway("train", *stand_in, "--dry-run", "--json"))["shaping"] is True


@pytest.mark.parametrize(
    ("words", "message", "note"),
    [
        (["--num-envs", "-5"], "num envs is out of range: -5", "  from: --num-envs"),
        (["--num-envs", "0"], "num envs is out of range: 0", "  allowed: 1 or more"),
        (["--num-envs", "many"], "num envs is not a whole number: 'many'", "  from: --num-envs"),
        (["-m", "0"], "max iterations is out of range: 0", "  from: --max-iterations"),
        (["--num-env", "5"], "unknown option '--num-env'", "  hint: did you mean --num-envs"),
        (["extra"], "got unexpected extra argument (extra)", "  hint: gaitway train --help"),
        (["--task"], "option '--task' requires an argument", "  hint: gaitway train --help"),
        (["--task", "Isaac-Cartpol-v0"], "task 'Isaac-Cartpol-v0' is unknown", "  hint: did you mean Isaac-Cartpole"),
        (["--on", "osmos"], "unknown platform 'osmos'", "  hint: did you mean osmo?"),
        (["-M", "resume"], "checkpoint mode resume needs a checkpoint", "  hint: add --checkpoint-uri"),
        (["-c", "runs:/a/b"], "a checkpoint is given but the mode is from-scratch", "  hint: add --checkpoint-mode"),
        (["--name", "../x"], "'../x' cannot be the name of a run", "  allowed: letters"),
        (["--contract", "none.json"], "there is no contract file none.json", "  from: --contract"),
        (["--training-path", "nowhere"], "the training path does not exist: nowhere", "  from: --training-path"),
        (["--follow", "--detach"], "--follow and --detach exclude each other", ""),
    ],
)
def test_a_request_that_cannot_be_right_is_refused_and_leaves_nothing(
    gaitway: Gaitway, stand_in: list[str], home: Path, words: list[str], message: str, note: str
) -> None:
    ran = gaitway("train", *stand_in, *words)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith(f"error: {message}")
    assert note in ran.err
    assert not home.exists()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("GAITWAY_CONTRACT", "none.json", "there is no contract file none.json"),
        ("CHECKPOINT_URI", ".", "'.' is a folder of this machine"),
        ("GAITWAY_OVERRIDES", "agent.nothing=1", "agent.nothing"),
        ("GAITWAY_WITH", "nowhere", "nowhere"),
    ],
)
def test_a_value_of_the_environment_is_told_by_its_variable(
    gaitway: Gaitway, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    platform = ("--on", "osmo", "-M", "resume") if variable == "CHECKPOINT_URI" else ()
    ran = gaitway("train", "--task", "Isaac-Cartpole-v0", "--dry-run", *platform)
    assert (ran.code, message in ran.err) == (2, True), ran.err
    assert f"  from: env {variable}" in ran.err


def test_a_bad_variable_is_named(gaitway: Gaitway, stand_in: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUM_ENVS", "-3")
    ran = gaitway("train", *stand_in)
    assert ran.code == 2
    assert "  from: env NUM_ENVS" in ran.err


def test_a_run_answers_with_json_alone(gaitway: Gaitway, stand_in: list[str]) -> None:
    ran = gaitway("train", *stand_in, "--json")
    assert ran.code == 0
    assert ran.json.keys() >= FIELDS
    assert ran.json["status"] == "succeeded"
    final = ran.json["final_checkpoint"]
    assert Path(final["path"]).read_bytes().endswith(b"weights")
    same = f"--task Isaac-Cartpole-v0 --training-path {stand_in[1]}"
    assert ran.json["next"] == f"gaitway infer {same} --checkpoint-uri {final['uri']}"
    assert "train 3/3 | reward 1.50" in ran.err
    assert ran.err.rstrip().endswith(f"next: {ran.json['next']}")


def test_the_plan_says_what_changed_since_the_last_run(gaitway: Gaitway, stand_in: list[str], tmp_path: Path) -> None:
    (tmp_path / "extra.py").write_text("1")
    gaitway("train", *stand_in, "--with", str(tmp_path / "extra.py"))
    (tmp_path / "extra.py").write_text("2")
    ran = gaitway("train", *stand_in, "--with", str(tmp_path / "extra.py"), "--num-envs", "64")
    plan = " ".join(ran.err.partition("submitted")[0].split())
    assert f"changed since isaac-cartpole-v0-1: num_envs {SCALE.num_envs} → 64 extra.py is changed" in plan
    assert "gaitway_runtime" not in plan


@pytest.mark.parametrize(("do", "code"), [("succeed", 0), ("fail", 1), ("gate", 5), ("crash", 1)])
def test_the_exit_code_is_the_jobs(gaitway: Gaitway, stand_in: list[str], do: str, code: int) -> None:
    ran = gaitway("train", *stand_in, "--set", f"do={do}")
    assert ran.code == code


def test_a_failure_says_why_and_where_to_look(gaitway: Gaitway, stand_in: list[str]) -> None:
    ran = gaitway("train", *stand_in, "--set", "do=crash", "--json")
    assert ran.json["status"] == "failed"
    assert "about to crash" in ran.err
    assert "error: the process ended without a result" in ran.err
    assert f"  log: {ran.json['run_dir']}/log.txt" in ran.err


def test_a_detached_run_lives_on_when_the_command_ends(
    gaitway: Gaitway, stand_in: list[str], home: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "gaitway", "train", *stand_in, "--set", "do=wait", "--detach", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(home), check=True)
    started = json.loads(done.stdout)
    assert started["status"] == "running"
    assert started["next"] == "gaitway logs isaac-cartpole-v0-1 -f"
    assert gaitway("status", started["run"], "--json").json["status"] == "running"
    cancelled = gaitway("cancel", started["run"], "--json")
    assert (cancelled.code, cancelled.json["status"]) == (0, "cancelled")
    again = gaitway("cancel", started["run"])
    assert again.code == 2
    assert again.err.splitlines()[0] == "error: run 'isaac-cartpole-v0-1' has already ended: cancelled"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_a_run_here_after_it_has_saved(
    stand_in: list[str], home: Path, tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "gaitway", "train", *stand_in, "--set", "do=wait", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment(home)
    ) as process:
        assert process.stderr and process.stdout
        for line in process.stderr:
            if line.startswith("ready"):
                break
        process.send_signal(number)
        answer = json.loads(process.stdout.read())
        said = process.stderr.read()
    assert process.returncode == 130
    assert answer["status"] == "cancelled"
    assert said.count("stopping") == 1
    assert (home / "runs" / answer["run"] / "log.txt").read_text().endswith("saved\n")


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a command in a process of its own."""
    return {**os.environ, "GAITWAY_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}


def test_the_next_command_after_an_interrupt_resumes(start: Callable[..., Run]) -> None:
    run = start("do=wait", seed=3, name="mine")
    next(line for line in run.logs(follow=True) if line == "ready")
    result = run.run_dir / "outputs" / "result.json"
    run.cancel()
    final = {"uri": "runs:/1/checkpoints/final/model_9.pt", "path": "x", "iteration": 9, "sha256": ""}
    result.write_text(json.dumps({**json.loads(result.read_text()), "final_checkpoint": final}))
    (run.run_dir / "ended.json").unlink()
    words = run.document()["next"].split()
    assert words[:2] == ["gaitway", "train"]
    assert words[words.index("--seed") + 1] == "3"
    assert words[-4:] == ["--checkpoint-uri", final["uri"], "--checkpoint-mode", "resume"]
    assert "--name" not in words


def test_a_contract_file_travels_with_the_job(gaitway: Gaitway, stand_in: list[str], tmp_path: Path) -> None:
    text = PolicyContract.of_unknown_task().to_json()
    (tmp_path / "my_contract.json").write_text(text)
    ran = gaitway("train", *stand_in, "--contract", str(tmp_path / "my_contract.json"), "--json")
    folder = Path(ran.json["run_dir"])
    assert json.loads((folder / "job.json").read_text())["job"]["contract"] == "my_contract.json"
    assert (folder / "payload" / "my_contract.json").read_text() == text
