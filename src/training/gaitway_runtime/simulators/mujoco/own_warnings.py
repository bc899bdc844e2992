"""MuJoCo's own warnings of a user's file, gathered and kept off standard error."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import mujoco

_ANSWERED = "is deprecated and will be removed"
"""Phrase of a warning that concerns a later reading of the same file."""


@contextlib.contextmanager
def gathered() -> Iterator[list[str]]:
    """Yield a list that has, once this is over, what MuJoCo has warned of meanwhile, a line each, none twice."""
    found: list[str] = []
    said: list[str] = []
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(said.append)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", UserWarning)
            yield found
    finally:
        mujoco.set_mju_user_warning(before)
    lines = (" ".join(text.split()) for text in (*said, *(str(one.message) for one in told)))
    found += dict.fromkeys(line for line in lines if _ANSWERED not in line)
