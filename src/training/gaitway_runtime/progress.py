"""How a job tells how far it is: a plain line now and then, and a JSON line for whoever draws a live display."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

PROGRESS_FILE = "progress.jsonl"


class Progress:
    """Reports of one job.

    Args:
        output_dir: Gets ``progress.jsonl``, one JSON object a report.
        stream: Where plain lines go; standard output when omitted.
        quiet: Whether to print and write nothing: of several processes the first alone reports.
        every: Least time between two plain lines [s]; the last report of a phase is always printed.
        clock: Source of time [s], for tests.
    """

    def __init__(
        self,
        output_dir: Path,
        *,
        stream: TextIO | None = None,
        quiet: bool = False,
        every: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = output_dir / PROGRESS_FILE
        self._stream = stream
        self._quiet = quiet
        self._every = every
        self._clock = clock
        self._phase = "starting"
        self._started: tuple[float, int, float] | None = None
        self._printed = -math.inf

    def phase(self, name: str) -> None:
        """Say that another part of the job begins (``train``, ``upload``, ``play onnx``)."""
        self._phase = name
        self._started = None
        self._printed = -math.inf
        if not self._quiet:
            self._write({"time": self._clock(), "phase": name})

    def report(self, iteration: int, total: int, **values: float) -> None:
        """Say that ``iteration`` of ``total`` units of this phase are done.

        Args:
            iteration: Units done, the last one included: ``total`` when all are.
            total: Units to do.
            values: Measurements; those that are not finite are left out. ``steps`` (environment steps done so far),
                ``reward`` and ``episode_length`` have a place in the printed line; the speed follows from ``steps``.
        """
        if self._quiet:
            return
        now = self._clock()
        known = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        record: dict[str, Any] = {
            "time": now,
            "phase": self._phase,
            "iteration": iteration,
            "total": total,
            **self._rates(now, iteration, total, known.get("steps")),
            **known,
        }
        self._write(record)
        if now - self._printed >= self._every or iteration >= total:
            self._printed = now
            print(_line(record), file=self._stream or sys.stdout, flush=True)

    def _rates(self, now: float, iteration: int, total: int, steps: float | None) -> dict[str, float]:
        """Speed and time left, measured since the first report of the phase."""
        if self._started is None:
            self._started = (now, iteration, steps or 0.0)
            return {}
        began, first, first_steps = self._started
        elapsed = now - began
        if elapsed <= 0 or iteration <= first:
            return {}
        rates = {"eta_s": max(0, total - iteration) * elapsed / (iteration - first)}
        if steps is not None:
            rates["steps_per_s"] = (steps - first_steps) / elapsed
        return rates

    def _write(self, record: dict[str, Any]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")
        except OSError:
            # A full disk must not end the work here: saving a checkpoint will say so, with what is safe.
            return


def _line(record: dict[str, Any]) -> str:
    parts = [f"{record['phase']} {record['iteration']}/{record['total']}"]
    formats = (("reward", "reward {:.2f}"), ("episode_length", "length {:.0f}"), ("steps_per_s", "{:,.0f} steps/s"))
    parts += [text.format(record[name]) for name, text in formats if name in record]
    if record.get("eta_s"):
        minutes, seconds = divmod(round(record["eta_s"]), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    return " | ".join(parts)
