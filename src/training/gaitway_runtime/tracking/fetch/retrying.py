"""Trying again, with back-off and an end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from ...errors import PlatformError
from .base import Changed, Limits, Transient

T = TypeVar("T")


class Retries:
    """The patience of one transfer or one question.

    Args:
        limits: Bounds.
        shown: The address as errors may show it.
    """

    def __init__(self, limits: Limits, shown: str) -> None:
        self._limits = limits
        self._shown = shown
        self._in_a_row = 0
        self._total = 0
        self._restarts = 0

    def failed(self, error: Transient, *, got_on: bool = False) -> None:
        """Wait before the next attempt.

        Args:
            error: What happened.
            got_on: Whether the attempt was of some use all the same.

        Raises:
            PlatformError: There will be no further attempt.
        """
        self._in_a_row = 1 if got_on else self._in_a_row + 1
        self._total += 1
        if self._in_a_row >= self._limits.attempts or self._total >= 10 * self._limits.attempts:
            raise PlatformError(
                f"the checkpoint cannot be read: {error}", source=self._shown, hint=f"{self._total} attempts were made"
            ) from None
        backoff = min(self._limits.first_wait * 2 ** (self._in_a_row - 1), self._limits.longest_wait)
        asked = min(error.retry_after or 0.0, self._limits.longest_wait)
        time.sleep(asked or backoff * random.uniform(0.5, 1.0))

    def changed(self) -> None:
        """Count a restart.

        Raises:
            PlatformError: There have been too many.
        """
        self._restarts += 1
        if self._restarts > self._limits.restarts:
            raise PlatformError("the checkpoint keeps changing while it is read", source=self._shown) from None


def persist(action: Callable[[], T], limits: Limits, shown: str) -> T:
    """Run a short action until it succeeds or patience ends.

    Raises:
        PlatformError: Patience ended.
    """
    retries = Retries(limits, shown)
    while True:
        try:
            return action()
        except Transient as error:  # noqa: PERF203 - trying again is what this is for
            retries.failed(error)
        except Changed:
            retries.changed()
