"""The entry point: runs a verb, and turns whatever happens into an exit code and an error in the house's form."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import click
from gaitway_runtime.tracking.redaction import scrub

from .. import __version__
from ..errors import GaitwayError, Interrupted, UsageError, nearest
from . import render
from .command import CONTEXT_SETTINGS, EXIT_CODES, LazyGroup, debug_option

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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a narrow terminal is no reason to fail
    args = list(sys.argv[1:] if argv is None else argv)
    own = args[: args.index("--")] if "--" in args else args
    try:
        code = cli.main(args or ["--help"], prog_name="gaitway", standalone_mode=False)
    except BrokenPipeError:
        # Whoever read our answer has seen enough (``gaitway runs | head``).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  (the outermost edge: nothing may pass it raw)
        problem = _as_problem(error)
        if "--debug" in own:
            render.say("".join(traceback.format_exception(error)).rstrip())
        render.error(problem)
        if "--json" in own:
            render.document({"error": problem.as_dict()})
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
        known = [name for param in context.command.params for name in (*param.opts, *param.secondary_opts)]
        close = nearest(error.option_name, known)
        return UsageError(f"unknown option '{error.option_name}'", hint=f"did you mean {close}?" if close else hint)
    message = error.format_message().rstrip(".")
    return UsageError(message[:1].lower() + message[1:], hint=hint)


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
