"""Client of the ``osmo`` command: JSON answers, and exit codes turned into the project's errors."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from gaitway_runtime.spec.secrets import scrub

from ...errors import ConfigError, GaitwayError, Interrupted, PlatformError, UsageError

INSTALL = "https://nvidia.github.io/OSMO has the installer; the osmo on PyPI is another program"
TIMEOUT_S = 120.0
"""Longest wait for an answer [s]."""

UPLOAD_TIMEOUT_S = 3600.0
UNWELL = (10, 75)
"""Exit codes of a service that cannot answer now: no connection or a server error (10), too many requests (75)."""

LONGEST_MESSAGE = 600
"""Length of OSMO's message that an error repeats [characters]."""

_SILENCE = "\0"
"""Stands for a line that has not come."""

LOG_HEADER = re.compile(r"Workflow \S+ has (error )?logs:$")
"""Line that precedes a log. Without it, the command's output says why there is no log."""

_SENT = ("Read timed out", "Connection aborted", "Connection reset", "Remote end closed connection")
"""Phrases of a request that was sent and got no answer; OSMO's command calls each of them "Cannot connect"."""

_GATEWAY = re.compile(r"Status Code: 50[24]\b")
"""What the command says of an answer of something between it and OSMO, which had passed the request on."""

_BUSY = re.compile(r"Status Code: 503\b")
"""What the command says of a service, or something between it and OSMO, that cannot answer now."""

_STATUS = re.compile(r"Status Code: (5\d\d)\b")
"""What the command says of any other answer of a service that has failed."""

_PREFACE = re.compile(r"^((Error message:|Workflow \S* ?submit failed:)\s*)+")
_NOISE = re.compile(r"^(Error code:|Server responded|Status Code:|Header:|Body:?$|Traceback|  )")


class Unwell(PlatformError):
    """OSMO cannot be asked now: it is out of reach, too busy, or fails."""


class NoAnswer(Unwell):
    """OSMO gave no answer in time: nobody knows whether it did what it was asked to."""


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
    """Outcome of a command."""

    code: int
    stdout: str
    stderr: str


def execute(*words: str, timeout: float | None = None) -> Done:
    """Run an ``osmo`` command and return its outcome, whether it succeeded or not.

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
        raise NoAnswer(f"osmo {' '.join(words[:2])} gave no answer in {limit:g} s", hint="osmo version") from None
    except OSError as error:
        raise ConfigError(f"the osmo command cannot be started: {error.strerror}", source=command[0]) from None
    return Done(done.returncode, done.stdout, done.stderr)


def output_of(*words: str, timeout: float | None = None) -> str:
    """Run an ``osmo`` command and return its standard output.

    Raises:
        GaitwayError: It did not succeed; the error says what to do.
    """
    done = execute(*words, timeout=timeout)
    if done.code != 0:
        raise error_of(done.code, done.stdout, done.stderr, words)
    return done.stdout


def json_of(*words: str, timeout: float | None = None) -> Any:
    """Run an ``osmo`` command with ``--format-type json`` and return what it answers.

    Raises:
        GaitwayError: It did not succeed, or answered something else.
    """
    text = output_of(*words, "--format-type", "json", timeout=timeout)
    try:
        return json.loads(text)
    except ValueError:
        raise PlatformError(f"osmo {' '.join(words[:2])} answered no JSON", source=shorten(text)) from None


def json_unless_refused(*words: str) -> Any:
    """Return the answer as :func:`json_of` does; None where OSMO refuses to answer (no permission, no such thing).

    Raises:
        GaitwayError: There is no login, or OSMO cannot be asked at all.
    """
    done = execute(*words, "--format-type", "json")
    if done.code == 0:
        return json.loads(done.stdout)
    error = error_of(done.code, done.stdout, done.stderr, words)
    if isinstance(error, ConfigError) or done.code in UNWELL:
        raise error
    return None


def log_stream(
    workflow_id: str, words: Sequence[str] = (), *, idle: float, goes_on: Callable[[], bool]
) -> Generator[str, None, None]:
    """Yield the lines of a workflow's log as they come; returns when the stream ends, for whatever reason.

    Args:
        workflow_id: The workflow.
        words: Flags of ``osmo workflow logs``.
        idle: Time without a line after which ``goes_on`` is asked [s].
        goes_on: Whether to go on waiting: OSMO may keep a stream open after the workflow has ended.

    Raises:
        GaitwayError: The log cannot be read at all.
    """
    command = [executable(), "workflow", "logs", workflow_id, *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", stdin=subprocess.DEVNULL
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_pump, args=(process, lines), daemon=True).start()
    told: list[str] = []
    opened = False
    try:
        while (line := _next(lines, idle if opened else TIMEOUT_S)) is not None:
            if line is _SILENCE:
                if not opened:
                    raise Unwell(f"osmo workflow logs gave no answer in {TIMEOUT_S:g} s", hint="osmo version")
                if not goes_on():
                    return
            elif opened:
                yield line
            elif LOG_HEADER.match(line):
                opened = True
            else:
                told.append(line)
        code = process.wait()
        if code != 0:
            raise error_of(code, "the log broke off" if opened else "\n".join(told), "", ("workflow", "logs"))
    finally:
        # A reader may stop at any time; the command would continue as long as the workflow runs.
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)


def _next(lines: queue.SimpleQueue[str | None], limit: float) -> str | None:
    try:
        return lines.get(timeout=limit)
    except queue.Empty:
        return _SILENCE


def _pump(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line.rstrip("\n"))
    lines.put(None)


def error_of(code: int, stdout: str, stderr: str, words: tuple[str, ...]) -> GaitwayError:
    """Return the error that stands for a failed ``osmo`` command."""
    message = message_of(stdout, stderr)
    what = f"osmo {' '.join(words[:2])}"
    if any(mark in message for mark in _SENT) or _GATEWAY.search(stdout):
        return NoAnswer(f"OSMO gave no answer in time: {message}", hint="osmo version")
    if _BUSY.search(stdout):
        return Unwell("OSMO does not answer as it should (503)", hint="try again in a minute")
    for marks, make in _KNOWN:
        if any(mark in message for mark in marks):
            return make(message)
    match code:
        case 3 | -2 | 130:
            return Interrupted(f"{what} was interrupted")
        case 75:
            return Unwell("OSMO asks to slow down (429)", hint="try again in a minute")
        case 10:
            status = _STATUS.search(stdout)
            told = f" ({status[1]})" if status else ""
            return Unwell(f"OSMO does not answer as it should{told}: {message}", hint="osmo version")
        case 126 | 127:
            return ConfigError(f"{what} cannot be run: {message}", hint=INSTALL)
    return PlatformError(f"OSMO refused: {message}")


def message_of(stdout: str, stderr: str) -> str:
    """Return the message of a failed command on one line, without tracebacks and secrets."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        stdout = str(json.loads(stdout)["message"])
    lines = [_PREFACE.sub("", line.rstrip()) for line in (stdout.strip() or stderr.strip()).splitlines()]
    told = " ".join(line.strip() for line in lines if line.strip() and not _NOISE.match(line))
    with contextlib.suppress(ValueError, TypeError, KeyError):
        told = str(json.loads(told)["message"])  # the body of an answer that OSMO's command prints as it came
    return shorten(scrub(told)) or "no message"


def shorten(text: str) -> str:
    """Return a text on one line, cut to :data:`LONGEST_MESSAGE`."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 3] + "..."


def _login(message: str) -> GaitwayError:
    return ConfigError("the OSMO login is missing or has expired", source=message, hint="osmo login URL")


def _platform(message: str) -> GaitwayError:
    return UsageError(message.rstrip("!."), source="--platform", hint="osmo resource list")


def _resources(message: str) -> GaitwayError:
    return UsageError(message, source="--cpu, --memory, --storage", hint="osmo resource list")


def _credential(message: str) -> GaitwayError:
    return ConfigError(message, source="OSMO credentials", hint="osmo credential list; osmo credential set --help")


def _bucket(message: str) -> GaitwayError:
    return ConfigError(
        message.rstrip("."),
        source="--dataset-bucket",
        hint="name a bucket that OSMO has, or keep the payload in object storage: --payload upload --storage-uri URI",
    )


def _labels(message: str) -> GaitwayError:
    return UsageError("this osmo command knows no labels: they came with release 6.4", source="--label")


def _unreachable(message: str) -> GaitwayError:
    return Unwell("OSMO cannot be reached", source=message, hint="osmo version; is the address of the login right?")


_KNOWN: tuple[tuple[tuple[str, ...], Callable[[str], GaitwayError]], ...] = (
    (("Must login first", "e-login with", "Token is expired", "please login again"), _login),
    (("Cannot connect to OSMO",), _unreachable),
    (
        ("Could not find the credential", "is not a valid credential", "validate access to", "key validation"),
        _credential,
    ),
    (("Bucket ",), _bucket),
    (("Resource validation failed",), _resources),
    (("unrecognized arguments: --label",), _labels),
    (("does not exist in pool", "does not have a platform"), _platform),
)
"""Errors by phrases of OSMO's messages, whatever the exit code is."""
