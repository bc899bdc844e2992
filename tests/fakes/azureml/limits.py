"""Limits of Azure ML's run history, refused and not cut (Azure's page of service limits)."""

from __future__ import annotations

from collections.abc import Mapping

from .refusals import Refused

TAGS, KEY, VALUE = 50, 100, 1000
METRIC_NAMES = 50


class RunLimits:
    """Tags and metric names of each run so far."""

    def __init__(self) -> None:
        self._tags: dict[str, set[str]] = {}
        self._metrics: dict[str, set[str]] = {}

    def tags(self, run: str) -> set[str]:
        return set(self._tags.get(run, ()))

    def add_tags(self, run: str, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            if len(key) > KEY:
                raise invalid(f"No more than {KEY} characters per tag Key. Request contains 1 of greater length.")
            if len(value) > VALUE:
                raise invalid(f"No more than {VALUE} characters per tag Value. Request contains 1 of greater length.")
        known = self._tags.get(run, set()) | set(tags)
        if len(known) > TAGS:
            raise invalid(f"A run can have at most {TAGS} tags; run {run} would have {len(known)}.")
        self._tags[run] = known

    def add_metrics(self, run: str, names: set[str]) -> None:
        known = self._metrics.get(run, set()) | names
        if len(known) > METRIC_NAMES:
            raise invalid(f"A run can have at most {METRIC_NAMES} metric names; run {run} would have {len(known)}.")
        self._metrics[run] = known


def invalid(message: str) -> Refused:
    return Refused(400, "ValidationError", message)
