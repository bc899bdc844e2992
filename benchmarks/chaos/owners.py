"""Process ids that are used again, two owners of one run, and clocks that are set."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.fakes import mlflow_server
from tests.fakes.whole_job import CARTPOLE, Course

from .forks import session
from .kills import STAND_IN
from .lab import Lab, Row, documents, until

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
YEAR_S = 365 * 86400.0


def reused_pids(lab: Lab, row: Row, tries: int) -> None:
    """Kill a run and give its process id to a stranger: nobody takes the stranger for the run, nor ends it."""
    for _ in range(tries):
        home = lab.folder("home")
        words = ("train", "--yes", "--json", "--detach", "--training-path", str(STAND_IN), "--task", CARTPOLE)
        lab.client(home, *words, "--set", "do=wait")
        folder = home / "runs" / "isaac-cartpole-v0-1"
        identity = json.loads((folder / "process.json").read_text())
        os.killpg(identity["pid"], signal.SIGKILL)
        until(lambda pid=identity["pid"]: not session(pid))  # type: ignore[misc]
        stranger = _stranger(identity["pid"])
        if stranger.pid != identity["pid"]:  # nobody may choose ids here: the record names the stranger's instead
            (folder / "process.json").write_text(json.dumps({**identity, "pid": stranger.pid, "started": 1.0}))
            (folder / "pid").write_text(str(stranger.pid))
        row.tries += 1
        _, said = lab.client(home, "runs", "--json")
        states = [run["status"] for run in documents(said)]
        row.add([] if states == ["failed"] else [f"a run whose process id is a stranger's is {states}"])
        lab.client(home, "cancel", folder.name)
        row.add([] if stranger.poll() is None else ["the stranger was ended"])
        stranger.kill()
        stranger.wait()


def _stranger(pid: int) -> subprocess.Popen[bytes]:
    """Start a process of a given id, where this user may choose it and nobody else takes it."""
    found = None
    for _ in range(200):
        with suppress(OSError):
            LAST_PID.write_text(str(pid - 1))
        found = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
        if found.pid == pid or not os.access(LAST_PID, os.W_OK):
            return found
        found.kill()
        found.wait()
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)


def _killed_course(lab: Lab) -> Course:
    """Return a training that was killed after its first checkpoints."""
    course = lab.course(CARTPOLE)
    process = lab.stopped_at(course, 2)
    process.kill()
    process.wait()
    return course


def at_once(lab: Lab, row: Row, tries: int) -> None:
    """Resume a killed training twice at the same instant: one goes on, the other is refused."""
    whole, _ = lab.whole(CARTPOLE)
    for _ in range(tries):
        course = _killed_course(lab)
        jobs = [course.next_attempt(), course.attempts[-1]]
        second = course.attempts[-1].with_name(f"{course.name}-twin")
        second.mkdir()
        document = json.loads(jobs[0].read_text())
        document["context"]["run"] = second.name
        (second / "job.json").write_text(json.dumps(document))
        processes = [
            lab.start("job", str(path), log=path.with_name("log.txt")) for path in (jobs[0], second / "job.json")
        ]
        codes = [process.wait() for process in processes]
        row.tries += 1
        if codes[0] != 0:
            course.attempts[-1] = second
        logs = [(path.parent / "log.txt").read_text() for path in (jobs[0], second / "job.json")]
        refused = sum(code == 3 and "is being trained by" in log for code, log in zip(codes, logs, strict=True))
        row.add([] if codes.count(0) == 1 and refused == 1 else [f"they ended with {codes}: {logs}"], str(course.home))
        row.add(course.problems(whole), str(course.home))


def elsewhere(lab: Lab, row: Row, tries: int) -> None:
    """Resume a training elsewhere while it runs: refused; as the platform's new attempt: the old one is silent."""
    whole, _ = lab.whole(CARTPOLE)
    dice = lab.dice(row.fault)
    with mlflow_server.running(lab.folder("server")) as server:
        for number in range(tries):
            replaced = number % 2 == 0
            tags = {"tags": {"gaitway.attempt_of": f"{row.fault} {number}"}} if replaced else {}
            first = lab.course(CARTPOLE, uri=server.url, context=tags)
            process = lab.stopped_at(first, dice.randrange(1, 4), host="one")
            while not _is_told(first):  # another machine finds no checkpoint whose metrics were not sent before it
                process.kill()
                process.wait()
                first = lab.course(CARTPOLE, uri=server.url, context=tags)
                process = lab.stopped_at(first, dice.randrange(1, 4), host="one")
            other = lab.course(CARTPOLE, uri=server.url, context=tags)
            other.attempts += first.attempts
            row.tries += 1
            attempt = lab.run(other, host="two")
            code = attempt.wait()
            process.signal(signal.SIGCONT)
            first_code = process.wait()
            log = (other.attempts[-1] / "log.txt").read_text()
            if replaced:
                row.add([] if code == 0 else [f"the new attempt ended with {code}: {log[-500:]}"])
                row.add(_only_once(other, whole.metrics), f"{other.home}")
            else:
                row.add([] if code == 3 and "is being trained by" in log else [f"not refused: {code} {log[-500:]}"])
                row.add([] if first_code == 0 else [f"the owner ended with {first_code}"])
                row.add(_only_once(first, whole.metrics), f"{first.home}")


def _is_told(course: Course) -> bool:
    """Whether the server has the metrics of every checkpoint that a training has made."""
    return max(course.checkpoints()) in {step for step, _ in course.metrics(course.run_ids()[-1]).get("Loss/value", [])}


def _only_once(course: Course, wanted: dict[str, list[tuple[int, float]]]) -> list[str]:
    from gaitway_runtime.stores.mlflow_client import open_client

    from tests.fakes.whole_job import points_that_differ

    run_id = course.run_ids()[-1]
    status = open_client(course.uri).get_run(run_id).info.status
    return points_that_differ(course.metrics(run_id), wanted) + [f"the run is {status}"] * (status != "FINISHED")


def stepped_clocks(lab: Lab, row: Row, tries: int) -> None:
    """Set the clock, forwards and back, in the middle of a training that is killed and resumed."""
    whole, duration = lab.whole(CARTPOLE)
    dice = lab.dice(row.fault)
    for number in range(tries):
        by = [7200.0, -7200.0, 10 * YEAR_S, -10 * YEAR_S, 1.5, -1.5][number % 6]
        course = lab.course(CARTPOLE)
        steps = ((dice.uniform(0.0, duration), by), (dice.uniform(0.0, duration), -by / 2))
        process = lab.run(course, steps=steps)
        if process.wait(dice.uniform(0.5, 1.0) * duration) is None:
            process.kill()
            process.wait()
        row.tries += 1
        if course.result().get("status") != "succeeded":
            row.add(lab.finish(course, steps=steps), f"{by} s")
        row.add(course.problems(whole), f"{by} s: {course.home}")
        row.add(_negative(course), f"{by} s: {course.home}")


def _negative(course: Course) -> list[str]:
    """Return the durations and rates below zero that a training reports."""
    result = course.result()
    found = [f"seconds {result['seconds']}"] if result.get("seconds", 0.0) < 0 else []
    for run in course.attempts:
        path = run / "outputs" / "progress.jsonl"
        for line in path.read_text().splitlines() if path.exists() else ():
            values = json.loads(line)
            found += [f"{name} {values[name]}" for name in ("eta_s", "steps_per_s") if values.get(name, 0.0) < 0]
    return found
