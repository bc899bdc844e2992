"""The verbs as Python functions."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gaitway_runtime.simulators.mujoco.overrides import with_overrides
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.tasks.environment import find_environment

import gaitway
from gaitway.errors import UsageError
from gaitway.platforms.base import RunStatus
from gaitway.run_handle import Run

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
    assert result.final_checkpoint.iteration == 2
    assert result.verdict == "not judged"
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
    with pytest.raises(UsageError, match=r"has not ended: it is running"):
        run.result()
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


def test_waiting_can_raise_what_ended_the_run(start: Callable[..., Run]) -> None:
    assert start().wait(raise_on_failure=True).status is RunStatus.SUCCEEDED
    with pytest.raises(gaitway.JobFailed, match="run 'isaac-cartpole-v0-2' failed: "):
        start("do=fail").wait(raise_on_failure=True)
    with pytest.raises(gaitway.GateFailed, match="the gate was not met"):
        start("do=gate").wait(raise_on_failure=True)
    with pytest.raises(gaitway.JobFailed, match="ended without a result"):
        start("do=crash").wait(raise_on_failure=True)


def test_a_result_is_typed_and_an_end_without_one_is_an_error(start: Callable[..., Run]) -> None:
    run = start()
    run.wait()
    result = gaitway.run(run.name).result()
    assert isinstance(result, gaitway.TrainResult)
    assert (result.final_checkpoint.uri, result.metrics) == (
        "runs:/0123/checkpoints/final/model_2.pt",
        {"mean_reward": 1.5},
    )
    with pytest.raises(KeyError):
        result.metric("no.such.number")
    crashed = start("do=crash")
    crashed.wait()
    with pytest.raises(gaitway.JobFailed, match="ended without a result"):
        crashed.result()


def test_a_verdict_is_the_gates(stand_in: list[str]) -> None:
    judged = gaitway.validate(task=TASK, training_path=STAND_IN, checkpoint_uri="runs:/0/model_2.pt")
    judged.wait()
    assert judged.result().verdict is gaitway.GateVerdict.MET
    failed = gaitway.validate(task=TASK, training_path=STAND_IN, checkpoint_uri="runs:/0/model_2.pt", set=["do=gate"])
    failed.wait()
    assert failed.result().verdict is gaitway.GateVerdict.NOT_MET


def test_a_job_may_be_an_object_or_a_kind(stand_in: list[str]) -> None:
    job = gaitway.TrainJob(task=TASK, num_envs=64)
    prepared = gaitway.plan(job, training_path=STAND_IN, seed=5)
    assert (prepared.submission.job.num_envs, prepared.submission.job.seed) == (64, 5)
    assert str(prepared.plan.settings["num_envs"].origin) == "cli --num-envs"
    assert prepared.plan.settings["backend"].origin.layer == "default"
    assert gaitway.plan("validate", task=TASK, training_path=STAND_IN).submission.job.kind == "validate"
    with pytest.raises(UsageError, match="unknown job kind 'trian'") as caught:
        gaitway.plan("trian")
    assert caught.value.hint == "did you mean train?"


def test_every_public_name_is_there_and_no_other() -> None:
    for name in gaitway.__all__:
        assert getattr(gaitway, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = gaitway.trian


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("env.episode_lenght_s=3", "unknown key 'env.episode_lenght_s'", "did you mean episode_length_s?"),
        ("agent.algorithm.learning_rat=1", "unknown key 'agent.algorithm.learning_rat'", "learning_rate"),
        ("env.episode_length_s=long", "'long' is not a number", ""),
    ],
)
def test_an_override_is_checked_before_anything_is_sent(
    stand_in: list[str], home: Path, override: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        gaitway.plan("train", task=TASK, training_path=STAND_IN, set=[override])
    assert hint in (refused.value.hint or "")
    assert not home.exists()
    gaitway.plan("train", task=TASK, training_path=STAND_IN, set=["env.episode_length_s=3", "do=wait"])


WALK = "Isaac-Velocity-Flat-Anymal-C-v0"


def test_a_reward_is_tuned_by_its_name() -> None:
    task = find_environment(WALK)
    tuned = with_overrides(task, ["env.rewards.feet_air_time.weight=2"])
    assert {term.name: term.weight for term in tuned.rewards} == {
        term.name: 2.0 if term.name == "feet_air_time" else term.weight for term in task.rewards
    }
    with pytest.raises(UsageError, match="is not a number"):
        with_overrides(task, ["env.rewards.feet_air_time.func=print"])


@pytest.mark.parametrize(
    ("platform", "simulator"), [("local", "mujoco"), ("osmo", "mujoco"), ("osmo", "auto"), ("azureml", "auto")]
)
@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("env.rewards.feet_air_tim.weight=2", "rewards.feet_air_time"),
        ("env.rewards.feet_air_time.params.treshold=0.4", "rewards.feet_air_time.params.threshold"),
        ("env.events.push_robt.interval_range_s=5,10", "events.push_robot"),
    ],
)
def test_a_misspelt_key_is_refused_everywhere_and_the_nearest_named(
    home: Path, platform: str, simulator: str, typo: str, meant: str
) -> None:
    with pytest.raises(UsageError, match="unknown key") as refused:
        gaitway.plan("train", task=WALK, platform=platform, simulator=simulator, set=[typo])
    assert refused.value.source == f"--set {typo}"
    assert f"did you mean {meant}" in (refused.value.hint or "")
    assert not home.exists()
