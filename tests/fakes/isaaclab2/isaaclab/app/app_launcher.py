"""The launcher of Isaac Sim 4.5 and 5: what a program notices of it."""

import os
import signal
import sys
from typing import Any

import isaaclab


class Application:
    def close(self) -> None:
        """End the process with success, whatever it was about: what Kit may do."""
        print("application closed", flush=True)
        os._exit(0)


class AppLauncher:
    def __init__(self, launcher_args: dict[str, Any]) -> None:
        too_early = [name for name in ("torch", "isaaclab_tasks", "isaaclab.envs") if name in sys.modules]
        if too_early:
            raise RuntimeError(f"imported before the application was started: {too_early}")
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - as the real one does
        if "FAKE_KIT_FAILS" in os.environ:
            raise RuntimeError("no suitable GPU")
        isaaclab.started = True
        self.app = Application()
        sys.stdout = sys.__stdout__
        print("application started", sorted(launcher_args.items()), flush=True)
        for number in (signal.SIGTERM, signal.SIGABRT):
            signal.signal(number, self._abort)

    def _abort(self, number: int, frame: Any) -> None:
        self.app.close()
