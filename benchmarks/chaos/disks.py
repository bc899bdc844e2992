"""Disks that are full at some write, have no inodes left, or cannot be written, as small file systems in memory."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gaitway_runtime.spec.checkpoint_files import damage_of

from tests.fakes.whole_job import CARTPOLE, Course, Whole

from .lab import Lab, Row, raw_text

ROOMY = "256m"


class NoMounts(Exception):
    """This user may not mount file systems."""


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoMounts(done.stderr.strip())


@contextmanager
def memory_disk(folder: Path, options: str = f"size={ROOMY}") -> Iterator[Path]:
    """Mount a file system of its own in a folder."""
    _mount("-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def full(lab: Lab, row: Row, tries: int) -> None:
    """Let the disk be full at writes spread over a whole training, then make room and resume."""
    _limited(lab, row, tries, "size")


def without_inodes(lab: Lab, row: Row, tries: int) -> None:
    """Let the disk have no inode left at some new file of a training, then make room and resume."""
    _limited(lab, row, tries, "nr_inodes")


def _limited(lab: Lab, row: Row, tries: int, what: str) -> None:
    whole, _ = lab.whole(CARTPOLE)
    with memory_disk(lab.folder("disk")) as folder:
        course = lab.course(CARTPOLE, home=folder)
        before = _used(folder, what)
        row.add(lab.finish(course))
        after = _used(folder, what)
    dice = lab.dice(row.fault)
    for number in range(tries):
        limit = round(before + (after - before) * (number + dice.random()) / tries)
        with memory_disk(lab.folder("disk")) as folder:
            course = lab.course(CARTPOLE, home=folder)
            job_file = course.next_attempt()
            log = job_file.with_name("log.txt")
            log.touch()  # whoever starts a job makes its log first
            limit = max(limit, _used(folder, what))
            _resize(folder, what, limit)
            code = lab.start("job", str(job_file), log=log).wait()
            row.tries += 1
            where = f"{what} {limit} of {before} to {after}"
            row.add(_said(course, code), where)
            _resize(folder, what, None)
            for _ in range(2):
                if course.result().get("status") != "succeeded":
                    row.add(lab.finish(course), where)
            lab.client(folder, "sync", "--json")
            row.add(_lost(course, whole), where)


def _lost(course: Course, whole: Whole) -> list[str]:
    """Return what is lost of a training that had no room for a while, beside what its log says is lost."""
    log, said = course.log(), ["an earlier MLflow run is FAILED", "the log has a traceback"]
    other_worlds = "a resume from it will not be exact" in log
    if other_worlds:
        said += ["the final weights are others", ": other values", " has no companion"]
    if "tracking cannot be kept on disk" in log:
        said.append(": missing [")
    problems = [problem for problem in course.problems(whole) if not any(words in problem for words in said)]
    # Whether an episode ends in an iteration depends on the worlds.
    return [problem for problem in problems if not (other_worlds and _OF_EPISODES.fullmatch(problem))]


_OF_EPISODES = re.compile(r"(Episode_\w+/|Train/mean_)\w+( is missing|: missing \[[\d, ]+\])")
"""Metrics of episodes, without a value where none ended."""


def _used(folder: Path, what: str) -> int:
    """Return the bytes or inodes in use."""
    found = os.statvfs(folder)
    return found.f_files - found.f_ffree if what == "nr_inodes" else (found.f_blocks - found.f_bfree) * found.f_frsize


def _resize(folder: Path, what: str, limit: int | None) -> None:
    if limit is None:
        limit = 100_000 if what == "nr_inodes" else 256 << 20
    _mount("-o", f"remount,{what}={limit}", str(folder))


def _said(course: Course, code: int | None) -> list[str]:
    """Return what is wrong with how a training met a disk that takes nothing more."""
    if code is None:
        return ["the training hangs"]
    log, error = course.log(), (course.result().get("error") or {}).get("message", "")
    found = raw_text(log)
    if code and not any(text in log + error for text in ("No space left", "Read-only", "are free", "cannot be made")):
        found.append(f"it ended with {code} and no reason: {error or log[-300:]}")
    return found + [f"{path.name}: {why}" for path in course.checkpoints().values() if (why := damage_of(path))]


def read_only_before(lab: Lab, row: Row, tries: int) -> None:
    """Let the home be read-only: commands that look still work, a training says why it cannot begin."""
    for _ in range(tries):
        with memory_disk(lab.folder("disk")) as folder:
            course = lab.course(CARTPOLE, home=folder)
            row.add(lab.finish(course))
            (course.attempts[-1] / "run.json").write_text(_record(course.attempts[-1].name))
            _mount("-o", "remount,ro", str(folder))
            row.tries += 1
            name = course.attempts[-1].name
            for words in (("runs", "--json"), ("status", name), ("logs", name), ("checkpoints", name), ("sync",)):
                code, said = lab.client(folder, *words)
                row.add([] if code == 0 and "Traceback" not in said else [f"{words} ended with {code}: {said[-500:]}"])
            code, said = lab.client(folder, "train", "--yes", "--task", CARTPOLE)
            plain = code in (3, 4) and "Read-only file system" in said and "Traceback" not in said
            row.add([] if plain else [f"train ended with {code}: {said[-500:]}"])


def _record(name: str) -> str:
    import dataclasses
    import json

    from gaitway.ledger import RunRecord

    record = RunRecord(
        name=name, platform="local", kind="train", task=CARTPOLE, created="2026-01-01T00:00:00+00:00", command=()
    )
    return json.dumps(dataclasses.asdict(record))


def read_only_meanwhile(lab: Lab, row: Row, tries: int) -> None:
    """Let the outputs, or the checkpoints alone, become read-only in the middle of a training."""
    whole, duration = lab.whole(CARTPOLE)
    dice = lab.dice(row.fault)
    for _ in range(tries):
        with memory_disk(lab.folder("disk")) as folder:
            course = lab.course(CARTPOLE, home=folder)
            process = lab.run(course)
            process.wait(dice.uniform(0.2, 0.9) * duration)
            outputs = course.attempts[-1] / "outputs"
            closed = dice.choice([outputs, outputs / "checkpoints"])
            if not closed.is_dir():
                closed = course.attempts[-1]
            _mount("--bind", str(closed), str(closed))
            _mount("-o", "remount,bind,ro", str(closed))
            row.tries += 1
            code = process.wait()
            row.add(_said(course, code), closed.name)
            subprocess.run(["umount", "-l", str(closed)], check=True)
            for _ in range(2):
                if course.result().get("status") != "succeeded":
                    row.add(lab.finish(course), closed.name)
            lab.client(folder, "sync", "--json")
            row.add(_lost(course, whole), closed.name)
