"""The one simulator application of a process, and the one environment that is open in it.

Isaac Lab allows one simulation a process. Its end is delicate: Isaac Sim may end the process, or hang. So closing is
put off until ``result.json`` is written (:func:`.lifecycle.add_exit_hook`), and an environment is closed
before that only where another one takes its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ...process import lifecycle

Started = TypeVar("Started")


class Application:
    """What runs in this process."""

    def __init__(self) -> None:
        self._app: Any = None
        self._environment: Any = None

    def start(self, launch: Callable[[], Started], close: Callable[[Started, int], None]) -> Started:
        """Return the running application, starting it if this is the first time.

        Args:
            launch: Starts the simulator; what it returns is kept.
            close: Ends it, given what ``launch`` returned and the exit code that the process shall have.
        """
        if self._app is None:
            self._app = launch()
            app = self._app
            lifecycle.add_exit_hook(lambda code: close(app, code))
            # Before the simulator: an environment cannot be closed without it.
            lifecycle.add_exit_hook(lambda code: self.close_environment())
            # Isaac Sim puts handlers of its own in place of ours, which end the process without saving.
            lifecycle.retake_signals()
        started: Started = self._app
        return started

    def put(self, make: Callable[[], Any]) -> Any:
        """Close the open environment, if there is one, and return the one that ``make`` makes."""
        self.close_environment()
        self._environment = make()
        return self._environment

    def close_environment(self) -> None:
        """Close the environment that is open."""
        environment, self._environment = self._environment, None
        if environment is not None:
            environment.close()


APPLICATION = Application()
