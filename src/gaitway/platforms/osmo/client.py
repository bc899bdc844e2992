"""The ``osmo`` command, as a program talks to it: JSON out, exit codes turned into the project's errors."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gaitway_runtime.tracking.redaction import scrub

from ...errors import ConfigError, GaitwayError, Interrupted, PlatformError, UsageError

INSTALL = "https://nvidia.github.io/OSMO has the installer; the osmo on PyPI is another program"
TIMEOUT_S = 120.0
"""Longest wait for an answer [s]."""

UPLOAD_TIMEOUT_S = 3600.0
UNWELL = (10, 75)
"""Exit codes of a service that cannot answer now: no connection or an error of its own, too many requests."""

LONGEST_MESSAGE = 600
"""Characters of OSMO's own words that an error repeats."""

LOG_HEADER = re.compile(r"Workflow \S+ has (error )?logs:$")
"""The line before a log; without it, what the command prints is why there is none."""

_PREFACE = re.compile(r"^((Error message:|Workflow \S* ?submit failed:)\s*)+")
_NOISE = re.compile(r"^(Error code:|Server responded|Status Code:|Header:|Body:?$|Traceback|  )")


def executable() -> str:
    """Return the path of the ``osmo`` command.

    Raises:
        ConfigError: It is not installed.
    """
    found = shutil.which("osmo")
    if found is None:
        raise ConfigError("the osmo command is not installed", hint=INSTALL)
    return found


@dataclass(frozen=True)
class Done:
    """What became of a command."""

    code: int
    stdout: str
    stderr: str


def attempt(*words: str, timeout: float | None = None) -> Done:
    """Run an ``osmo`` command, whether it succeeds or not.

    Args:
        words: What follows ``osmo``.
        timeout: Longest wait [s]; :data:`TIMEOUT_S` when omitted.

    Raises:
        GaitwayError: It could not be run, or gave no answer.
    """
    command, limit = [executable(), *words], timeout or TIMEOUT_S
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise PlatformError(f"osmo {' '.join(words[:2])} gave no answer in {limit:g} s", hint="osmo version") from None
    except OSError as error:
        raise ConfigError(f"the osmo command cannot be started: {error.strerror}", source=command[0]) from None
    return Done(done.returncode, done.stdout, done.stderr)


def run(*words: str, timeout: float | None = None) -> str:
    """Run an ``osmo`` command and return its standard output.

    Raises:
        GaitwayError: It did not succeed; the error says what to do.
    """
    done = attempt(*words, timeout=timeout)
    if done.code != 0:
        raise failure(done.code, done.stdout, done.stderr, words)
    return done.stdout


def ask(*words: str, timeout: float | None = None) -> Any:
    """Run an ``osmo`` command with ``--format-type json`` and return what it answers.

    Raises:
        GaitwayError: It did not succeed, or answered something else.
    """
    text = run(*words, "--format-type", "json", timeout=timeout)
    try:
        return json.loads(text)
    except ValueError:
        raise PlatformError(f"osmo {' '.join(words[:2])} answered no JSON", source=shorten(text)) from None


def ask_if_it_may_be(*words: str) -> Any:
    """Ask as :func:`ask` does; None where OSMO refuses to answer, for whatever is its own reason.

    Raises:
        GaitwayError: There is no login, or OSMO cannot be asked at all.
    """
    done = attempt(*words, "--format-type", "json")
    if done.code == 0:
        return json.loads(done.stdout)
    error = failure(done.code, done.stdout, done.stderr, words)
    if isinstance(error, ConfigError) or done.code in UNWELL:
        raise error
    return None


def stream(workflow_id: str, idle: float | None = None) -> Iterator[str]:
    """Yield the lines of a workflow's log as they come; returns when the stream ends, for whatever reason.

    Args:
        workflow_id: The workflow.
        idle: Leave the stream when no line has come for so long [s]; OSMO keeps it open while a workflow runs.

    Raises:
        GaitwayError: The log cannot be read at all.
    """
    command = [executable(), "workflow", "logs", workflow_id]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", stdin=subprocess.DEVNULL
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_pump, args=(process, lines), daemon=True).start()
    told: list[str] = []
    opened = False
    try:
        while (line := lines.get(timeout=idle if opened else TIMEOUT_S)) is not None:
            if opened:
                yield line
            elif LOG_HEADER.match(line):
                opened = True
            else:
                told.append(line)
        code = process.wait()
        if code != 0:
            raise failure(code, "\n".join(told), "", ("workflow", "logs"))
    except queue.Empty:
        if not opened:
            raise PlatformError("osmo workflow logs gave no answer", hint="osmo version") from None
    finally:
        # Whoever reads may leave at any time; the command would stay as long as the workflow runs.
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)


def _pump(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line.rstrip("\n"))
    lines.put(None)


def failure(code: int, stdout: str, stderr: str, words: tuple[str, ...]) -> GaitwayError:
    """Return the error that an ``osmo`` command's failure amounts to."""
    message = message_of(stdout, stderr)
    what = f"osmo {' '.join(words[:2])}"
    for marks, make in _KNOWN:
        if any(mark in message for mark in marks):
            return make(message)
    match code:
        case 3 | -2 | 130:
            return Interrupted(f"{what} was interrupted")
        case 75:
            return PlatformError("OSMO asks to slow down (429)", hint="try again in a minute")
        case 10:
            return PlatformError(f"OSMO does not answer as it should: {message}", hint="osmo version")
        case 126 | 127:
            return ConfigError(f"{what} cannot be run: {message}", hint=INSTALL)
    return PlatformError(f"OSMO refused: {message}")


def message_of(stdout: str, stderr: str) -> str:
    """Return what a failed command says, without frames and secrets, in one line."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        stdout = str(json.loads(stdout)["message"])
    lines = [_PREFACE.sub("", line.rstrip()) for line in (stdout.strip() or stderr.strip()).splitlines()]
    told = [line.strip() for line in lines if line.strip() and not _NOISE.match(line)]
    return shorten(scrub(" ".join(told))) or "it said nothing"


def shorten(text: str) -> str:
    """Return a text of bearable length."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 3] + "..."


def _login(message: str) -> GaitwayError:
    return ConfigError("the OSMO login is missing or has expired", source=message, hint="osmo login URL")


def _pool(message: str) -> GaitwayError:
    return UsageError(message.rstrip("."), source="--pool", hint="osmo pool list")


def _platform(message: str) -> GaitwayError:
    return UsageError(message.rstrip("!."), source="--platform", hint="osmo resource list")


def _resources(message: str) -> GaitwayError:
    return UsageError(message, source="--cpu, --memory, --storage", hint="osmo resource list")


def _credential(message: str) -> GaitwayError:
    return ConfigError(message, source="OSMO credentials", hint="osmo credential list; osmo credential set --help")


def _unreachable(message: str) -> GaitwayError:
    return PlatformError(
        "OSMO cannot be reached", source=message, hint="osmo version; is the address of the login right?"
    )


_KNOWN: tuple[tuple[tuple[str, ...], Callable[[str], GaitwayError]], ...] = (
    (("Must login first", "e-login with", "Token is expired", "please login again"), _login),
    (("Cannot connect to OSMO",), _unreachable),
    (
        ("Could not find the credential", "is not a valid credential", "validate access to", "key validation"),
        _credential,
    ),
    (("Resource validation failed",), _resources),
    (("does not exist in pool", "does not have a platform"), _platform),
)
"""What messages say, whatever the exit code is, and the error for it."""
