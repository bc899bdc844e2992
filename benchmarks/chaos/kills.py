"""Kills at random instants, of every kind of process."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.stores.tracking_server import ensure_store
from gaitway_runtime.tracking.journal import JOURNAL, Artifact, Journal, Metrics, Open, journals_below

from tests.fakes import mlflow_server
from tests.fakes.mlflow_server import MlflowServer
from tests.fakes.processes import free_port
from tests.fakes.whole_job import CARTPOLE, Course

from .forks import Forked, session
from .lab import Lab, Row, documents, of_home, until

STAND_IN = Path(mlflow_server.__file__).with_name("runtime")
"""A runtime that takes milliseconds."""

DEATHS = 4
"""Most kills of one training before it is left alone until its end."""

OF_LOST_RANKS = ("the log has a traceback", "an earlier MLflow run is FAILED")
"""What is no loss where a rank is killed: the others fail, and say where they were."""

Begin = Callable[[Course], Forked]
Aim = Callable[[Forked, random.Random], None]


def _alone(process: Forked, dice: random.Random) -> None:
    process.kill()


def of_jobs(task: str, where: str) -> Callable[[Lab, Row, int], None]:
    """Return an experiment that kills the job of a training, which reports to the local store or to a server."""

    def experiment(lab: Lab, row: Row, kills: int) -> None:
        _, duration = lab.whole(task)
        if where == "store":
            courses(lab, row, kills, task, duration, "", lab.run, _alone)
            return
        with mlflow_server.running(lab.folder("server")) as server:
            courses(lab, row, kills, task, duration, server.url, lab.run, _alone)

    return experiment


def courses(
    lab: Lab, row: Row, kills: int, task: str, duration: float, uri: str, begin: Begin, kill: Aim, processes: int = 1
) -> None:
    """Kill trainings at random instants, resume each until it has come to its end, and compare it."""
    dice, whole = lab.dice(row.fault), lab.whole(task, processes)[0]
    course, deaths = lab.course(task, uri=uri), 0
    while row.tries < kills or deaths:
        process, began = begin(course), time.monotonic()
        code = process.wait(dice.uniform(0.0, duration) if row.tries < kills and deaths < DEATHS else 120.0)
        if code == 0 and not deaths:
            duration = min(duration, time.monotonic() - began)  # the first was timed while the machine was busier
        if code is None:
            kill(process, dice)
            row.tries, deaths = row.tries + 1, deaths + 1
            if not process.wait_session():
                row.add(["processes are left 120 s after a kill"], course.name)
                process.kill_all()
            continue
        problems = [text for text in course.problems(whole) if processes == 1 or text not in OF_LOST_RANKS]
        if code != 0 and not problems:
            problems = [f"it ended with {code}"]
        if code == 0 or deaths > DEATHS or row.tries >= kills or problems:
            row.add(problems, f"{course.home}: {course.name} after {deaths} kills")
            course, deaths = lab.course(task, uri=uri), 0


def of_ranks(lab: Lab, row: Row, kills: int) -> None:
    """Kill one of two ranks, their launcher, or all of them."""
    _, duration = lab.whole(CARTPOLE, 2)

    def begin(course: Course) -> Forked:
        job = course.next_attempt()
        words = ("--processes", "2", "--job", str(job))
        return lab.start("launcher", *words, log=job.with_name("log.txt"))

    def kill(process: Forked, dice: random.Random) -> None:
        ranks = [pid for pid in session(process.pid) if pid != process.pid]
        aim = dice.choice(["launcher", "rank 0", "rank 1", "all"])
        if aim == "all" or len(ranks) < 2:
            process.kill_all()
        elif aim == "launcher":
            process.kill()
        else:
            os.kill(sorted(ranks)[int(aim[-1])], 9)

    courses(lab, row, kills, CARTPOLE, duration, "", begin, kill, processes=2)


def of_containers(lab: Lab, row: Row, kills: int) -> None:
    """Kill a platform's container with everything in it; the next attempt is on another machine with its files."""
    _, duration = lab.whole(CARTPOLE)

    with mlflow_server.running(lab.folder("server")) as server:

        def begin(course: Course) -> Forked:
            job = course.next_attempt()
            attempt, run = len(course.attempts), job.parent
            (job.rename(run / "asked.json"))
            environ = {
                "RUN_DIR": str(run),
                "JOB_FILE": str(run / "asked.json"),
                "ATTEMPT_OF": f"{course.home.name}-{course.name}",
                "GAITWAY_REQUIREMENTS": "skip",
                "MLFLOW_TRACKING_URI": server.url,
            }
            return lab.start(
                "container", log=run / "log.txt", env=environ, cwd=str(run), host=f"pod-{course.name}-{attempt}"
            )

        def kill(process: Forked, dice: random.Random) -> None:
            process.kill_all()

        courses(lab, row, kills, CARTPOLE, duration, server.url, begin, kill)


def of_servers(lab: Lab, row: Row, kills: int) -> None:
    """Kill the tracking server in the middle of a training and start it again."""
    dice = lab.dice(row.fault)
    whole, duration = lab.whole(CARTPOLE)
    server = MlflowServer(lab.folder("server"), free_port())
    server.start()
    try:
        while row.tries < kills:
            course = lab.course(CARTPOLE, uri=server.url)
            process = lab.run(course)
            process.wait(dice.uniform(0.0, duration))
            server.kill()
            row.tries += 1
            server.start()
            problems = [] if process.wait() == 0 else [course.log()[-500:]]
            lab.client(course.home, "sync", "--json")
            row.add(problems or course.problems(whole), f"{course.home}")
    finally:
        server.stop()


def of_senders(lab: Lab, row: Row, kills: int) -> None:
    """Kill ``gaitway sync`` while it sends what a killed training has left."""
    dice, steps = lab.dice(row.fault), 100
    duration = 0.0
    while row.tries < kills:
        home = lab.folder("home")
        uri = ensure_store(home)
        _leave_journal(home, uri, steps)
        began = time.monotonic()
        for _ in range(min(DEATHS, kills - row.tries) if duration else 0):
            process = lab.start_client(home, home / "sync.txt", "sync", "--json")
            if process.wait(dice.uniform(0.0, duration)) is None:
                process.kill()
                row.tries += 1
                process.wait()
        code, said = lab.client(home, "sync", "--json")
        duration = duration or time.monotonic() - began
        row.add([said[-500:]] if code else [], str(home))
        row.add(_not_as_left(home, uri, steps), str(home))


def _leave_journal(home: Path, uri: str, steps: int) -> None:
    outputs = home / "runs" / "walker-1" / "outputs"
    (outputs / "checkpoints").mkdir(parents=True)
    journal = Journal(outputs / JOURNAL)
    journal.append(Open(tracking_uri=uri, experiment="left", name="walker-1", attempt=f"of {home.name}"))
    for step in range(steps):
        journal.append(Metrics(values={"reward": float(step), "length": 1.0}, step=step, time_ms=step))
        if step % 10 == 9:
            (outputs / "checkpoints" / f"model_{step}.pt").write_bytes(b"weights of %d" % step)
            journal.append(Artifact(path=f"checkpoints/model_{step}.pt", artifact_path="checkpoints"))
    journal.close(delete=False)


def _not_as_left(home: Path, uri: str, steps: int) -> list[str]:
    client = open_client(uri)
    runs = client.search_runs([client.get_experiment_by_name("left").experiment_id])
    if len(runs) != 1:
        return [f"{len(runs)} MLflow runs"]
    run_id = runs[0].info.run_id
    found = [] if runs[0].info.status == "KILLED" else [f"the run is {runs[0].info.status}"]
    for name in ("reward", "length"):
        points = sorted(point.step for point in client.get_metric_history(run_id, name))
        found += [] if points == list(range(steps)) else [f"{name} has {len(points)} points of {steps}"]
    published = len(client.list_artifacts(run_id, "checkpoints"))
    found += [] if published == steps // 10 else [f"{published} checkpoints of {steps // 10}"]
    return found + [f"{path} is left" for path in journals_below(home / "runs")]


def of_clients(lab: Lab, row: Row, kills: int) -> None:
    """Kill ``gaitway train`` while it launches a job and follows it."""
    dice = lab.dice(row.fault)
    words = ("train", "--yes", "--training-path", str(STAND_IN), "--task", CARTPOLE)
    home, began = lab.folder("home"), time.monotonic()
    code, said = lab.client(home, *words)
    row.add([said[-500:]] if code else [])
    duration = time.monotonic() - began
    while row.tries < kills:
        home = lab.folder("home")
        lasting = dice.random() < 0.5
        process = lab.start_client(home, home / "train.txt", *words, "--set", f"do={'wait' if lasting else 'succeed'}")
        if process.wait(dice.uniform(0.0, duration)) is None or lasting:
            process.kill()
            row.tries += 1
            process.wait()
        row.add(_lies(lab, home, lasting), str(home))


def _lies(lab: Lab, home: Path, lasting: bool) -> list[str]:
    """Return what commands say of a run that is not so."""

    def listed() -> list[str]:
        code, said = lab.client(home, "runs", "--json")
        runs = [run for run in documents(said) if run["detail"] != "it was never submitted"]
        return [str(run["status"]) for run in runs] if code == 0 else [said[-300:]]

    if not lasting:
        until(lambda: not any(status in ("running", "queued") for status in listed()), 30.0)
    states, alive = listed(), of_home(home)
    if any(state in ("running", "queued") for state in states):
        problems = [] if lasting and alive else [f"it is {states} with processes {alive}"]
        if lasting:
            code, said = lab.client(home, "cancel", "isaac-cartpole-v0-1")
            problems += [] if code == 0 else [f"cancel ended with {code}: {said[-300:]}"]
            problems += [f"processes {left} are left" for left in [of_home(home)] if left]
        return problems
    known = [state for state in states if state not in ("succeeded", "failed")]
    return [f"it is said to be {state}" for state in known] + [
        f"{states}, but {alive} run" for _ in states[:1] if alive
    ]
