"""Preemption that loses nothing: real trainings whose pods are killed without a signal, at random moments."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from fakes.osmo import OsmoService, Pod, Workflow
from fakes.osmo.pod import namespaces
from fakes.osmo.service import LONGEST_S

TASK = ("--task", "Isaac-Cartpole-v0", "--num-gpus", "0", "-n", "16", "--save-interval", "10")
ITERATIONS = 60
DICE = random.Random(7)


@pytest.fixture(autouse=True)
def cluster(service: OsmoService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks really run, with this Python as their image, and are started again up to five times."""
    service.cluster.runner = Pod.run
    service.cluster.max_retry = 5
    service.cluster.image_environment = {"GAITWAY_REQUIREMENTS": "skip", "OMP_NUM_THREADS": "1"}
    monkeypatch.delenv("TRAINING_PATH")


def wait_for(workflow: Workflow, text: str, attempt: int) -> None:
    """Wait until an attempt has written a line that holds a text."""
    label = f"[isaac-training retry-{attempt}]" if attempt else "[isaac-training]"
    with workflow.changed:
        found = workflow.changed.wait_for(
            lambda: any(text in line and label in line for line in workflow.lines) or not workflow.alive, LONGEST_S
        )
    assert found and workflow.alive, workflow.lines


def wait_for_checkpoint(workflow: Workflow, beyond: int) -> int:
    """Wait until some checkpoint beyond an iteration is reported, and return the newest."""

    def newest() -> int:
        told = [line.partition("::gaitway-checkpoint:: ")[2] for line in workflow.lines]
        return max((json.loads(text)["iteration"] for text in told if text), default=-1)

    with workflow.changed:
        found = workflow.changed.wait_for(lambda: newest() > beyond or not workflow.alive, LONGEST_S)
    assert found and workflow.alive, workflow.lines
    return newest()


def continued_from(workflow: Workflow) -> list[int]:
    """List the iterations from which later attempts of the lead have continued."""
    lines = [line for line in workflow.lines if "continuing from there" in line and "[isaac-training" in line]
    return [int(line.partition("model_")[2].partition(".pt")[0]) for line in lines]


def wait_for_continued(workflow: Workflow) -> None:
    """Wait until the lead has continued from a checkpoint."""
    with workflow.changed:
        found = workflow.changed.wait_for(lambda: continued_from(workflow) or not workflow.alive, LONGEST_S)
    assert found and workflow.alive, workflow.lines


def follow(gaitway: Any, name: str) -> tuple[threading.Thread, list[Any]]:
    """Follow a run's log in a thread."""
    ran: list[Any] = []
    thread = threading.Thread(target=lambda: ran.append(gaitway("logs", name, "-f")))
    thread.start()
    return thread, ran


def preempt_three_times(service: OsmoService, workflow: Workflow) -> None:
    """Once before the first upload, once by a lost node after some checkpoint, once by a job of higher priority."""
    wait_for(workflow, "entry: the payload lies in", 0)
    service.preempt(workflow.id)
    for attempt, take in ((1, service.lose_node), (2, service.preempt)):
        wait_for(workflow, "::gaitway-checkpoint::", attempt)
        threading.Event().wait(DICE.random())
        take(workflow.id)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["storage", "credential", "nowhere"])
def test_a_training_preempted_three_times_ends_whole(
    service: OsmoService, gaitway: Any, project: Path, place: str
) -> None:
    if place == "credential":
        service.data_profiles.append("s3://mine")
        service.cluster.login = service.login_of_pods()
    storage = ("--storage-uri", "s3://bucket/robots") if place == "storage" else ()
    started = gaitway("train", "--on", "osmo", *TASK, *storage, "-m", str(ITERATIONS), "--json")
    assert started.code == 0, started.err
    name = started.json["run"]
    (workflow,) = service.workflows.values()
    thread, followed = follow(gaitway, name)
    preempt_three_times(service, workflow)
    service.wait(workflow.id)
    thread.join(LONGEST_S)
    assert followed, "logs -f has not returned"

    ended = gaitway("status", name, "--json").json
    assert (ended["status"], ended["iterations"]) == ("succeeded", ITERATIONS), workflow.lines
    assert "127.0.0.1" not in json.dumps({**ended, "url": "", "next": ""})
    went_on = [line for line in workflow.lines if "an earlier attempt got to model_" in line]
    assert bool(went_on) == (place != "nowhere"), workflow.lines
    listed = gaitway("checkpoints", name, "--json").json["checkpoints"]
    assert [checkpoint["iteration"] for checkpoint in listed] == [0, 10, 20, 30, 40, 50, 59]
    done = gaitway("download", name, "--into", "here")
    assert done.code == 0, done.err
    assert sorted(path.name for path in project.glob("here/checkpoints/model_*.pt")) == sorted(
        f"model_{checkpoint['iteration']}.pt" for checkpoint in listed
    )
    lines = [json.loads(line) for line in (project / "here/metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "Train/mean_reward" in line["metrics"]]
    assert steps == list(range(ITERATIONS)), "each step once, in order"
    values = [(line["step"], name) for line in lines for name in line["metrics"]]
    assert len(values) == len(set(values)), "no value twice, those of evaluations in between included"
    assert json.loads((project / "here/result.json").read_text())["status"] == "succeeded"


@pytest.mark.slow
@pytest.mark.skipif(not namespaces(), reason="this machine does not let us build a root of our own")
def test_a_training_that_fills_its_memory_is_told_from_the_eviction_before(service: OsmoService, gaitway: Any) -> None:
    service.cluster.max_retry = 1
    started = gaitway("train", "--on", "osmo", *TASK, "--memory", "16Gi", "-m", "9000", "--name", "large")
    assert started.code == 0, started.err
    (workflow,) = service.workflows.values()
    wait_for(workflow, "::gaitway-checkpoint::", 0)
    service.evict(workflow.id)
    wait_for(workflow, "::gaitway-checkpoint::", 1)
    service.fill_memory(workflow.id, 0.98)
    wait_for(workflow, "::gaitway-memory::", 1)
    service.run_out_of_memory(workflow.id)
    service.wait(workflow.id)
    found = gaitway("status", "large", "--json").json
    assert (workflow.status, found["status"]) == ("FAILED_EVICTED", "failed")
    assert "it ran out of memory (15.7 of 16.0 GiB were in use): ask for more with --memory" in found["detail"]


@pytest.mark.slow
def test_two_nodes_continue_together_when_one_is_lost(service: OsmoService, gaitway: Any) -> None:
    service.cluster.log_lines_per_s = 1000.0  # what is waited for is what happens, and not what has happened before
    words = ("--num-nodes", "2", "--num-gpus", "1", "-n", "16", "--save-interval", "10", "-m", "400", "--name", "pair")
    storage = ("--storage-uri", "s3://bucket/robots")
    started = gaitway("train", "--on", "osmo", "--task", "Isaac-Cartpole-v0", *words, *storage)
    assert started.code == 0, started.err
    (workflow,) = service.workflows.values()
    # The lead's command is started again where it is, then the worker's; the other gets a pod of its own.
    reached = [wait_for_checkpoint(workflow, 9)]
    service.evict(workflow.id, "worker-1")
    # Until the lead is told of it, it may write one more checkpoint: only what its next attempt writes counts.
    wait_for_continued(workflow)
    reached.append(wait_for_checkpoint(workflow, continued_from(workflow)[-1]))
    service.evict(workflow.id, "isaac-training")
    service.wait(workflow.id)
    ended = gaitway("status", "pair", "--json").json
    assert (ended["status"], ended["iterations"]) == ("succeeded", 400), workflow.lines
    went_on = continued_from(workflow)
    assert len(went_on) == 2, workflow.lines
    assert all(now >= then for now, then in zip(went_on, reached, strict=True)), (went_on, reached)
    listed = gaitway("checkpoints", "pair", "--json").json["checkpoints"]
    assert [checkpoint["iteration"] for checkpoint in listed] == [*range(0, 400, 10), 399]
