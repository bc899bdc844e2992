"""The result of a job that runs elsewhere, as its log tells it. Shared by platforms; not one itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gaitway_runtime.container import RESULT_MARK
from gaitway_runtime.result import STATUSES


def result_in(lines: Iterable[str]) -> Mapping[str, Any] | None:
    """Return the result that the runtime wrote into a log, or None."""
    for line in reversed(list(lines)):
        mark, _, text = line.partition(RESULT_MARK)
        if text and not mark.strip():
            try:
                result: Mapping[str, Any] = json.loads(text)
            except ValueError:
                return None
            return result if result.get("status") in STATUSES else None
    return None
