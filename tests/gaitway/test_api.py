"""The verbs as Python functions."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gaitway_runtime.job import TrainJob

import gaitway
from gaitway.errors import UsageError
from gaitway.handles import Run
from gaitway.platforms.base import RunStatus

STAND_IN = Path(__file__).parents[1] / "fakes" / "runtime"
TASK = "Isaac-Cartpole-v0"


def test_importing_it_is_light() -> None:
    code = "import sys, gaitway; print(*(set(sys.modules) - set(sys.stdlib_module_names)))"
    # Without site-packages, so that what is not there cannot be imported by accident.
    source = {"PYTHONPATH": str(Path(gaitway.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env=source)
    assert not {"click", "gaitway.api", "gaitway_runtime", "torch", "numpy"} & set(done.stdout.split())


def test_a_run_can_be_waited_for_and_read(stand_in: list[str]) -> None:
    run = gaitway.train(task=TASK, training_path=STAND_IN, on="local", seed=1)
    assert run.wait(timeout_s=60).status is RunStatus.SUCCEEDED
    assert list(run.logs())[-1] == "train 3/3 | reward 1.50"
    result = run.result()
    assert result and result["final_checkpoint"]["iteration"] == 2
    assert gaitway.run(run.name).document() == run.document()
    assert [listed.name for listed in gaitway.runs()] == [run.name]


def test_a_run_can_be_followed(start: Callable[..., Run]) -> None:
    lines: list[str] = []
    assert start("do=fail").follow(lines.append).status is RunStatus.FAILED
    assert lines[0].startswith("started with")


def test_waiting_can_end_before_the_run_and_cancel_ends_it(start: Callable[..., Run]) -> None:
    run = start("do=wait")
    next(line for line in run.logs(follow=True) if line == "ready")
    assert run.wait(timeout_s=0).status is RunStatus.RUNNING
    assert run.result() is None
    assert run.cancel().status is RunStatus.CANCELLED
    assert run.cancel().status is RunStatus.CANCELLED


def test_a_plan_does_nothing_and_can_be_submitted(stand_in: list[str], home: Path) -> None:
    prepared = gaitway.plan(TrainJob, task=TASK, training_path=STAND_IN, num_envs=8)
    assert '"num_envs": 8' in prepared.request.body
    assert not home.exists()
    assert gaitway.submit(prepared).wait().status is RunStatus.SUCCEEDED


def test_a_plan_whose_name_was_taken_meanwhile_gets_the_next(stand_in: list[str]) -> None:
    prepared = gaitway.plan(TrainJob, task=TASK, training_path=STAND_IN)
    names = [gaitway.submit(prepared).name for _ in range(2)]
    assert names == ["isaac-cartpole-v0-1", "isaac-cartpole-v0-2"]
    contexts = [(gaitway.run(name).run_dir / "job.json").read_text() for name in names]
    assert all(f'"run": "{name}"' in text for name, text in zip(names, contexts, strict=True))


def test_what_the_command_line_records_is_recorded(start: Callable[..., Run]) -> None:
    command = start(seed=3, num_envs=8).record.command
    assert command[:4] == ("gaitway", "train", "--task", TASK)
    assert command[4:8] == ("--num-envs", "8", "--seed", "3")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_env": 8}, "train has no setting 'num_env'"),
        ({"num_envs": 0}, "num envs is out of range: 0"),
        ({"num_envs": 8.5}, "num envs is not a whole number: 8.5"),
        ({"num_envs": None}, "num envs is not a whole number: None"),
        ({"num_envs": True}, "num envs is not a whole number: True"),
        ({"gate": 2}, "gate is not a yes or a no: 2"),
        ({"task": 7}, "task is not a text: 7"),
        ({"import_": "my_tasks"}, None),
        ({"import_": [1]}, "imports is not a text: 1"),
        ({"on": "mars"}, "unknown platform 'mars'"),
    ],
)
def test_a_bad_setting_is_refused(home: Path, settings: dict, message: str | None) -> None:
    asked = {"task": TASK, "training_path": STAND_IN, **settings}
    if message is None:
        assert gaitway.plan(TrainJob, **asked).submission.job.imports == ("my_tasks",)
        return
    with pytest.raises(UsageError) as caught:
        gaitway.train(**asked)
    assert caught.value.message == message
    assert not home.exists()
