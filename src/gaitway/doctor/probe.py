"""Running something small in a process of its own, within a time limit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What a program said; ``failure`` is empty where it ended well."""

    output: str
    failure: str = ""


def run(command: Sequence[str], environ: Mapping[str, str] | None = None, *, timeout: float = 20.0) -> Answer:
    """Run a program without input.

    Args:
        command: Program and arguments.
        environ: Its whole environment; this process's when omitted.
        timeout: Time limit [s].
    """
    try:
        done = subprocess.run(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return Answer("", f"no answer within {timeout:g} s")
    except OSError as error:
        return Answer("", str(error.strerror))
    last = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
    return Answer(done.stdout, "" if done.returncode == 0 else last)


def ask(module: str, environ: Mapping[str, str], *words: str, timeout: float = 20.0) -> tuple[bool, str]:
    """Ask one of :mod:`gaitway_runtime.probes`; return whether it is well, and its sentence."""
    answer = run([sys.executable, "-m", f"gaitway_runtime.probes.{module}", *words], environ, timeout=timeout)
    if answer.failure:
        return False, answer.failure
    try:
        said = json.loads(answer.output.splitlines()[-1])
        return bool(said["ok"]), str(said["message"])
    except (ValueError, LookupError, TypeError):
        return False, "the probe gave no answer"
