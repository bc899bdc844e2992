"""The double integrators as a simulator module; imported as a task module it takes the embedded simulator's place.

That is how a test gives a real runtime process something small to learn and a tracker that needs no server::

    TrainJob(task="Fake-Mass-v0", imports=("tests.fakes.mass_simulator",), ...)
"""

from __future__ import annotations

import os
import signal
from typing import Any

from gaitway_runtime.simulators import base as simulators
from gaitway_runtime.simulators.base import Availability, Transition
from gaitway_runtime.spec.errors import JobFailed
from gaitway_runtime.spec.job import Job
from gaitway_runtime.tracking import mlflow_tracker
from numpy.typing import NDArray

from tests.fakes import tracker
from tests.fakes.mass_env import DoubleIntegrator

SIGNAL = "FAKE_SIGNAL"
"""Environment variable ``SIGKILL:320``: the process sends itself this signal in the step that reaches 320 steps.

``SIGKILL:320:1`` is meant for the process of that rank alone; with ``ERROR`` in the signal's place the step fails, with
``PARENT`` the process that started this one is killed.
"""


class SignallingEnv(DoubleIntegrator):
    def step(self, actions: NDArray[Any]) -> Transition:
        transition = super().step(actions)
        name, steps, rank = (*os.environ.get(SIGNAL, "").split(":"), "", "")[:3]
        if name and self.env_steps == int(steps) and rank in ("", os.environ.get("RANK")):
            if name == "ERROR":
                raise JobFailed("the fake broke", hint="mend it")
            if name == "PARENT":
                os.kill(os.getppid(), signal.SIGKILL)
            else:
                os.kill(os.getpid(), signal.Signals[name])
        return transition


def availability() -> Availability:
    return Availability(True, "fake 1")


def open_env(job: Job, *, num_envs: int, training: bool, seed: int, **options: Any) -> SignallingEnv:
    return SignallingEnv(num_envs, task=job.task)


def install() -> None:
    simulators.SIMULATORS["mujoco"] = __name__
    mlflow_tracker.open_tracker = tracker.open_tracker  # type: ignore[assignment]


if os.environ.get(SIGNAL) is not None:
    install()
