"""Laboratory of the fault suite: folders, stores, uninterrupted trainings to compare with, and what was found."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from gaitway_runtime.stores.tracking_server import ensure_store

from tests.fakes.whole_job import Course, Whole, short_job

from .forks import Forked, Nursery, Order


@dataclass
class Row:
    """A kind of fault: how often it was injected, and what did not hold."""

    fault: str
    tries: int = 0
    problems: list[str] = field(default_factory=list)
    skipped: str = ""
    seconds: float = 0.0

    def add(self, problems: Iterable[str], where: str = "") -> None:
        """Note what did not hold in one try or course of tries."""
        self.problems += [f"{where}: {problem}" if where else problem for problem in problems]


@dataclass
class Lab:
    """What every experiment works with."""

    nursery: Nursery
    scratch: Path
    seed: int
    _count: itertools.count[int] = field(default_factory=itertools.count)
    _wholes: dict[tuple[str, ...], tuple[Whole, float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def dice(self, name: str) -> random.Random:
        """Return random numbers that are the same each time the suite runs."""
        return random.Random(f"{self.seed} {name}")

    def folder(self, name: str) -> Path:
        """Make a folder that nobody else has."""
        folder = self.scratch / f"{name}-{next(self._count)}"
        folder.mkdir()
        return folder

    def course(self, task: str, home: Path | None = None, uri: str = "", **fields: object) -> Course:
        """Return a training that has not begun, in a home of its own unless one is given."""
        home = home or self.folder("home")
        named = {"name": f"c{next(self._count)}", **fields}
        return Course(home, uri or ensure_store(home), short_job(task), **named)  # type: ignore[arg-type]

    def run(self, course: Course, **details: object) -> Forked:
        """Begin the next attempt at a training."""
        job_file = course.next_attempt()
        return self.start("job", str(job_file), log=job_file.with_name("log.txt"), **details)

    def start(self, what: str, *args: str, log: Path, **details: object) -> Forked:
        """Start a process."""
        return self.nursery.start(Order(what=what, args=args, log=str(log), **details))  # type: ignore[arg-type]

    def finish(self, course: Course, **details: object) -> list[str]:
        """Let a training come to its end; return what went wrong with that."""
        process = self.run(course, **details)
        code = process.wait()
        if code is None:
            process.kill_all()
        return [] if code == 0 else [f"it ended with {code}: {course.result().get('error') or course.log()[-500:]}"]

    def whole(self, task: str, processes: int = 1) -> tuple[Whole, float]:
        """Return a training that nothing happened to, and how long it took [s]; made once."""
        with self._lock:
            key = (task, str(processes))
            if key not in self._wholes:
                course, began = self.course(task, name="whole"), time.monotonic()
                if processes == 1:
                    problems = self.finish(course)
                else:
                    job = course.next_attempt()
                    words = ("--processes", str(processes), "--job", str(job))
                    code = self.start("launcher", *words, log=job.with_name("log.txt")).wait()
                    problems = [] if code == 0 else [course.log()[-2000:]]
                assert not problems, problems
                self._wholes[key] = Whole.of(course), time.monotonic() - began
            return self._wholes[key]

    def stopped_at(self, course: Course, checkpoints: int, **details: object) -> Forked:
        """Begin a training and stop its process (SIGSTOP) once it has made so many checkpoints."""
        for _ in range(10):
            process = self.run(course, **details)
            while len(course.checkpoints()) < checkpoints and process.wait(0.005) is None:
                continue
            process.signal(signal.SIGSTOP)
            if course.result().get("status") is None and course.run_ids():
                return process
            process.signal(signal.SIGCONT)
            process.wait()
            course.name, course.attempts = f"c{next(self._count)}", []
        raise RuntimeError("the training always ended before it could be stopped")

    def client(self, home: Path, *words: str, timeout: float = 120.0) -> tuple[int | None, str]:
        """Run a command; return its exit code and what it printed."""
        log = self.folder("client") / "out.txt"
        process = self.start_client(home, log, *words)
        code = process.wait(timeout)
        if code is None:
            process.kill()
        return code, log.read_text(errors="replace")

    def start_client(self, home: Path, log: Path, *words: str) -> Forked:
        """Start a command."""
        return self.start("client", *words, log=log, env={"GAITWAY_HOME": str(home), "NO_COLOR": "1"}, cwd=str(home))


Experiment = Callable[[Lab, Row, int], None]
"""Injects a fault so many times, and notes in the row what did not hold."""


def documents(text: str) -> list[Mapping[str, object]]:
    """Return the JSON objects among the lines or in the whole of an output."""
    with_brackets = text[text.index("[") :] if "[" in text else "[]"
    found, _ = json.JSONDecoder().raw_decode(with_brackets)
    return list(found)


def of_home(home: Path) -> list[int]:
    """Return the living processes that work in a home."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                environ = Path(f"/proc/{entry}/environ").read_bytes()
            except OSError:
                continue
            if f"GAITWAY_HOME={home}\0".encode() in environ:
                found.append(int(entry))
    return found


def until(condition: Callable[[], bool], timeout: float = 60.0) -> bool:
    """Wait until something holds; return whether it does."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def raw_text(text: str) -> list[str]:
    """Return what a user should not have to read in a log: the first traceback or SQL, and what follows."""
    found = [text.index(word) for word in ("Traceback (most recent", "[SQL:", "sqlalchemy.exc") if word in text]
    return [f"the log is raw: ...{text[max(0, min(found) - 300) : min(found) + 1500]}"] if found else []
