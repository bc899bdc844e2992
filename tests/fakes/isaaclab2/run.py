"""Run a job on the stand-in: on a CPU, which Isaac Sim has no use for, and with a tracker that needs no server."""

import sys
from pathlib import Path

from gaitway_runtime.__main__ import main
from gaitway_runtime.simulators.isaaclab import preflight, v2
from gaitway_runtime.tracking import mlflow_tracker

from tests.fakes import tracker

if __name__ == "__main__":
    preflight.GPU_FILES = (Path("/"),)
    v2.choose_device = lambda **_: "cpu"  # type: ignore[assignment]
    mlflow_tracker.open_tracker = tracker.open_tracker  # type: ignore[assignment]
    sys.exit(main())
