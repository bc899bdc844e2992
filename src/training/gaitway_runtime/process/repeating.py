"""Work that is repeated beside a job, in a thread of its own. Standard library only."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def repeating(step: Callable[[], float], first_s: float) -> Iterator[None]:
    """Call a function again and again while a block runs; the call that is under way at its end is waited for.

    Args:
        step: Returns the pause before its next call [s].
        first_s: Pause before the first call [s].
    """
    over = threading.Event()

    def repeat() -> None:
        pause = first_s
        while not over.wait(pause):
            pause = step()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
