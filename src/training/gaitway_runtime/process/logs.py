"""Output of a process of a job: its log's form, and no secrets in it."""

from __future__ import annotations

import io
import logging
import sys

from ..spec.secrets import ScrubbingFormatter, ScrubbingStream


def log_to_output(prefix: str = "", level: int = logging.INFO) -> None:
    """Let the runtime's log go to standard output, which is read while the job runs, also when it goes to a file.

    Args:
        prefix: Before each line.
        level: Least level of what is shown.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    handler = logging.StreamHandler(sys.stdout)
    # The form that tools and documents grep for: "INFO | Found final model: ...".
    handler.setFormatter(ScrubbingFormatter(f"{prefix}%(levelname)s | %(message)s"))
    logger = logging.getLogger("gaitway_runtime")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def scrub_output() -> None:
    """Let nothing that this process prints hold a secret, a user's own code included."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    sys.stdout, sys.stderr = ScrubbingStream(sys.stdout), ScrubbingStream(sys.stderr)
