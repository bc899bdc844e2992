"""The entry point: runs a verb, and turns whatever happens into an exit code and an error in the house's form."""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import click
from gaitway_runtime.spec.secrets import scrub

from .. import __version__
from ..errors import GaitwayError, Interrupted, UsageError, nearest
from . import output
from .command import CONTEXT_SETTINGS, EXIT_CODES, LazyGroup, debug_option

ELSEWHERE = {
    "--headless": "nothing here opens a window, so there is no such option",
    "--video": "--video-length N, or 0 for none; training films nothing",
    "--resume": "--checkpoint-uri RUN@latest --checkpoint-mode resume",
    "--checkpoint": "--checkpoint-uri",
    "--load_run": "--checkpoint-uri RUN@latest",
    "--experiment_name": "--experiment-name on Azure ML; elsewhere it follows from the task",
}
"""Options of Isaac Lab's own scripts, and what stands for them here."""

cli = LazyGroup(
    "gaitway",
    help="Train, validate and ship robot policies: the same job here, on Azure ML, or on NVIDIA OSMO.",
    epilog=EXIT_CODES,
    context_settings=CONTEXT_SETTINGS,
    no_args_is_help=False,
    params=[debug_option()],
)
click.version_option(__version__, prog_name="gaitway", message="%(prog)s %(version)s")(cli)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: Arguments after the program's name; those of the process when omitted.
    """
    output.open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a narrow terminal is no reason to fail
    args = list(sys.argv[1:] if argv is None else argv)
    own = args[: args.index("--")] if "--" in args else args
    try:
        code = cli.main(args or ["--help"], prog_name="gaitway", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  (the outermost edge: nothing may pass it raw)
        problem = _as_problem(error)
        if isinstance(problem, UsageError) and sys.platform != "win32":
            problem.hint = next(filter(None, map(_windows_hint, own)), problem.hint)
        if "--debug" in own:
            output.say("".join(traceback.format_exception(error)).rstrip(), raw=True)
        output.error(problem)
        if "--json" in own:
            output.document({"error": problem.as_dict()})
        return problem.exit_code
    return code if isinstance(code, int) else 0


def _as_problem(error: Exception | KeyboardInterrupt) -> GaitwayError:
    match error:
        case GaitwayError():
            return error
        case click.ClickException():
            return _from_click(error)
        case KeyboardInterrupt() | click.Abort():
            return Interrupted("interrupted")
        case _:
            return _unexpected(error)


def _from_click(error: click.ClickException) -> UsageError:
    """Return a parsing error in the house's form."""
    context = getattr(error, "ctx", None)
    hint = f"{context.command_path} --help" if context else "gaitway --help"
    if isinstance(error, click.NoSuchOption) and context:
        return UsageError(f"unknown option '{error.option_name}'", hint=_option_hint(error, context.command) or hint)
    message = error.format_message().rstrip(".")
    extra = re.match(r"Got unexpected extra arguments? \((\S+)", message)
    return UsageError(message[:1].lower() + message[1:], hint=(extra and _word_hint(extra[1].rstrip(")"))) or hint)


def _option_hint(error: click.NoSuchOption, command: click.Command) -> str | None:
    """Return what somebody may have meant by an option that there is not."""
    if error.option_name in ELSEWHERE:
        return ELSEWHERE[error.option_name]
    names = [name for param in command.params for name in (*param.opts, *param.secondary_opts)]
    close = nearest(error.option_name.strip("-"), [name[2:] for name in names if name.startswith("--")], count=1)
    return f"did you mean --{close}?" if close else None


def _word_hint(word: str) -> str | None:
    """Return how to give an override, or a value of the platform's own, that stands alone on the command line."""
    if word.startswith(("agent.", "env.")):
        return f"--set {word}"
    return f"-- {word} hands it to the platform" if "=" in word else None


def _windows_hint(word: str) -> str | None:
    """Return what a path of Windows on the command line is called in WSL, or None for any other word."""
    value = word.partition("=")[2] if word.startswith("--") else word
    if drive := re.match(r"(?:file:/+)?([A-Za-z]):[\\/](.*)", value):
        path = f"/mnt/{drive[1].lower()}/{drive[2]}"
    elif share := re.match(r"(?:file:)?[\\/]{2}wsl(?:\.localhost|\$)[\\/][^\\/]+(.*)", value):
        path = share[1]
    elif lost := re.match(r"([A-Za-z]):\w", value):
        return (
            f"{value} has lost its backslashes to the shell; in WSL drive {lost[1].upper()} is /mnt/{lost[1].lower()}/"
        )
    else:
        return None
    return f"{value} is a path of Windows; in WSL it is {path.replace(chr(92), '/')}"


def _unexpected(error: Exception) -> GaitwayError:
    """Keep the traceback of an error nobody foresaw in a file, and return a sentence that says where."""
    home = Path(os.environ.get("GAITWAY_HOME") or ".gaitway")
    folder = home if home.is_dir() and os.access(home, os.W_OK) else None
    with tempfile.NamedTemporaryFile(
        "w", dir=folder, prefix="error-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.write(scrub("".join(traceback.format_exception(error))))
    return GaitwayError(
        f"unexpected {type(error).__name__}: {error}",
        source=log.name,
        hint="the traceback is in that file; --debug prints it here",
    )
