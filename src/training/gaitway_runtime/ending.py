"""How a job's process ends: what failed becomes a result, the result is written, the process leaves. Stdlib only."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import NoReturn

from . import result as results
from .errors import GaitwayError, Interrupted, JobFailed
from .job import Job
from .result import Result
from .tracking.redaction import scrub


def failure(job: Job | None, error: GaitwayError) -> Result:
    """Return an error as the result of a job; None for a job that could not be read."""
    return Result(
        kind=job.kind if job else "unknown",
        task=job.task if job else "",
        status="cancelled" if error.exit_code == Interrupted.exit_code else "failed",
        exit_code=error.exit_code,
        error={name: scrub(text) if isinstance(text, str) else text for name, text in error.as_dict().items()},
    )


def conclude(result: Result, output_dir: Path) -> int:
    """Print a result's error, write ``result.json``, and return the exit code."""
    if result.error:
        print("\n".join(GaitwayError.from_dict(result.error).lines()), file=sys.stderr, flush=True)
    try:
        results.write(result, output_dir)
    except OSError as full:
        print(f"error: {output_dir / results.RESULT_FILE} cannot be written: {full.strerror}", file=sys.stderr)
        return result.exit_code or JobFailed.exit_code
    return result.exit_code


def leave(code: int) -> NoReturn:
    """End the process now, whatever still hangs in it: nothing is cleaned up but what was printed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
