"""Runs that are elsewhere: submitted and left alone, asked for, followed, detached from."""

import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes import remote_platform
from fakes.remote_platform import RemotePlatform

from gaitway import run_handle
from gaitway.errors import ConfigError, GaitwayError, PlatformError
from gaitway.platforms.base import PLATFORMS, RunStatus, StatusReport

TRAIN = ("train", "--on", "osmo", "--task", "My-Task-v0")


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch, stand_in: list[str]) -> RemotePlatform:
    monkeypatch.setattr(remote_platform, "PLATFORM", RemotePlatform())
    monkeypatch.setitem(PLATFORMS._loaded, "osmo", remote_platform.PLATFORM)
    monkeypatch.delitem(sys.modules, "gaitway.cli.jobs", raising=False)  # its flags are those of the platforms
    monkeypatch.setenv("TRAINING_PATH", stand_in[1])
    return remote_platform.PLATFORM


def test_a_job_is_submitted_and_left_alone(gaitway: Callable, remote: RemotePlatform) -> None:
    ran = gaitway(*TRAIN, "--queue", "long", "--json", "--", "key=value")
    assert ran.code == 0
    assert (ran.json["run"], ran.json["status"], ran.json["url"]) == (
        "my-task-v0-1",
        "queued",
        "https://example.com/wf-7",
    )
    assert ran.json["next"] == "gaitway logs my-task-v0-1 -f"
    assert "my-task-v0-1 submitted to osmo: https://example.com/wf-7" in ran.err
    assert "it is far away" in ran.err
    [submission] = remote.submitted
    assert (submission.option("queue"), submission.job.num_envs) == ("long", 2048)
    assert submission.forwarded == ("key=value",)


def test_a_flag_of_another_platform_is_named_and_not_used(gaitway: Callable, remote: RemotePlatform) -> None:
    ran = gaitway("train", "--task", "Isaac-Cartpole-v0", "--queue", "long", "--dry-run")
    assert ran.code == 0
    assert "--queue means nothing on local" in ran.out


def test_following_ends_with_the_run(gaitway: Callable, remote: RemotePlatform) -> None:
    remote.answers = [None, None, StatusReport(RunStatus.FAILED, "FAILED", "the image is gone", 1)]
    ran = gaitway(*TRAIN, "--follow")
    assert ran.code == 1
    assert "first line" in ran.err
    assert "error: the image is gone" in ran.err


def test_a_run_is_waited_for_although_its_platform_is_away_now_and_then(
    gaitway: Callable, remote: RemotePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(run_handle, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pauses.append))
    away, done = PlatformError("it does not answer"), StatusReport(RunStatus.SUCCEEDED, "COMPLETED", "", 0)
    remote.answers = [None, None, *[away] * 5, StatusReport(RunStatus.RUNNING, "RUNNING"), away, done]
    assert gaitway(*TRAIN, "--follow").code == 0
    assert pauses == [10.0, 20.0, 40.0, 60.0, 60.0, 5.0, 10.0]
    remote.answers = [None, None, *[away] * 6]
    ran = gaitway(*TRAIN, "--follow")
    assert (ran.code, "gaitway status my-task-v0-2" in ran.err) == (4, True), ran.err


@pytest.mark.parametrize("error", [PlatformError("it does not answer"), ConfigError("the login has expired")])
def test_a_submission_whose_state_cannot_be_asked_for_has_not_failed(
    gaitway: Callable, remote: RemotePlatform, error: GaitwayError
) -> None:
    remote.answers = [None, error]
    ran = gaitway(*TRAIN, "--json")
    told = (ran.json["run"], ran.json["status"], ran.json["detail"], ran.json["url"])
    assert told == ("my-task-v0-1", "unknown", error.message, "https://example.com/wf-7")
    assert ran.code == 0, "who reads a failure submits it once more"


def test_an_interrupt_detaches_and_says_how_to_go_on(gaitway: Callable, remote: RemotePlatform) -> None:
    remote.answers = [None, KeyboardInterrupt()]
    ran = gaitway(*TRAIN, "--follow")
    assert ran.code == 130
    assert "to follow it: gaitway logs my-task-v0-1 -f" in ran.err
    assert "to cancel it: gaitway cancel my-task-v0-1" in ran.err
    assert gaitway("status", "my-task-v0-1", "--json").json["status"] == "queued"


def test_a_refused_submission_leaves_nothing(gaitway: Callable, remote: RemotePlatform, home: Path) -> None:
    remote.answers = [PlatformError("the pool is closed", hint="--pool other")]
    ran = gaitway(*TRAIN)
    assert ran.code == 4
    assert ran.err.endswith("error: the pool is closed\n  hint: --pool other\n")
    assert list((home / "runs").iterdir()) == []


def test_an_interrupted_submission_is_remembered_as_such(gaitway: Callable, remote: RemotePlatform) -> None:
    remote.answers = [KeyboardInterrupt()]
    assert gaitway(*TRAIN).code == 130
    [run] = gaitway("runs", "--json").json
    assert run["status"] == "unknown"
    assert run["detail"] == "the submission was interrupted; look at osmo whether it arrived"


def test_a_platform_that_is_away_hides_no_other_run(
    gaitway: Callable, remote: RemotePlatform, stand_in: list[str]
) -> None:
    gaitway(*TRAIN)
    gaitway("train", *stand_in)
    remote.answers = [PlatformError("no route to host")]
    ran = gaitway("runs", "--json")
    assert ran.code == 0
    assert {run["platform"]: (run["status"], run["detail"]) for run in ran.json} == {
        "osmo": ("unknown", "no route to host"),
        "local": ("succeeded", ""),
    }
    remote.answers = [PlatformError("no route to host")]
    assert gaitway("status", "my-task-v0-1").code == 4


def test_how_it_ended_is_asked_once(gaitway: Callable, remote: RemotePlatform) -> None:
    gaitway(*TRAIN)
    remote.answers = [StatusReport(RunStatus.SUCCEEDED, "COMPLETED", exit_code=0), AssertionError("asked again")]
    for _ in range(2):
        assert gaitway("status", "my-task-v0-1", "--json").json["status"] == "succeeded"


def test_the_payload_verdict_names_the_limit(gaitway: Callable, remote: RemotePlatform) -> None:
    verdicts = {verdict["platform"]: verdict for verdict in gaitway("payload", "--json").json["platforms"]}
    assert verdicts["osmo"] == {
        "platform": "osmo",
        "limit": 1000,
        "fits": False,
        "verdict": "over the 1000 B that travel inline: it goes as an upload",
    }


def test_answering_no_submits_nothing_and_says_so(
    gaitway: Callable, remote: RemotePlatform, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(importlib.import_module("gaitway.cli.jobs"), "confirmed", lambda: False)
    ran = gaitway(*TRAIN)
    assert ran.code == 130
    assert ran.err.rstrip().endswith("nothing is submitted") and "error" not in ran.err
    assert remote.submitted == []
