"""Steps of the set-up in order; a new one is a module here and a row in :data:`STEPS`."""

from __future__ import annotations

from collections.abc import Mapping

from . import azureml, gpu_operator, osmo_backend, osmo_control_plane, scheduler
from .base import Step

STEPS: Mapping[str, Step] = {
    step.name: step
    for step in (gpu_operator.STEP, scheduler.STEP, azureml.STEP, osmo_control_plane.STEP, osmo_backend.STEP)
}
