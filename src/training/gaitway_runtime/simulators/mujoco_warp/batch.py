"""Worlds on MuJoCo-Warp behind the interface of MuJoCo's batch engine.

States and what the tasks' terms read lie in arrays of the host, as the batch engine's; a step sends states to the
device, runs all physics steps of a control step there, and brings states and records back. Warp computes in single
precision, the host's arrays are double: a state comes back to the device as it left it, so that sending all of them
changes nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import mujoco_warp as mjw
import numpy as np
import warp as wp
from numpy.typing import NDArray

from ...spec.errors import JobFailed, UsageError
from ...tasks.arrays import Array
from ..mujoco.engine import Physics
from .capacity import capacity_of
from .support import check_task

_STATE = ("qpos", "qvel", "act", "qacc_warmstart", "ctrl", "xfrc_applied", "mocap_pos", "mocap_quat")
"""Parts of a world's state in the order of their columns; nothing here depends on the time."""
_RETURNED = ("qpos", "qvel", "act", "qacc_warmstart")
"""Those that a step changes."""
_ALWAYS_SENT = ("qpos", "qvel", "act", "qacc_warmstart", "ctrl")
"""The others are sent once somebody writes them."""
_OUTPUTS = ("actuator_force", "sensordata")
"""What else a step brings back."""
_DERIVED = ("body_subtreemass", "body_invweight0", "dof_invweight0", "actuator_acc0")
"""Fields of the model that follow from masses and inertias."""
_LOST = (
    mjw.OverflowType.NEFC
    | mjw.OverflowType.NJMAX_NNZ
    | mjw.OverflowType.BROADPHASE
    | mjw.OverflowType.NARROWPHASE
    | mjw.OverflowType.CCD
    | mjw.OverflowType.HFIELD
    | mjw.OverflowType.CONTACT_MATCH
)
"""Overflows by which contacts are lost; of the others the solver's limit of iterations is the models' own."""
_FINITE = 1e10
"""What MuJoCo counts as diverged (``mjMAXVAL``)."""

_log = logging.getLogger(__name__)


def warp_engine(device: str | None = None) -> Physics:
    """Return MuJoCo-Warp as a physics of the embedded simulator.

    Args:
        device: Warp's name of a device; by default this process's GPU, or the CPU where there is none.
    """
    wp.config.log_level = wp.LOG_WARNING  # else a line for every module that is loaded
    wp.init()
    chosen = device or choose_device()
    return Physics(
        f"mujoco-warp {mjw.__version__}",
        lambda model, num_envs: WarpBatch(model, num_envs, chosen),
        check=check_task,
        not_restored="" if chosen == "cpu" else "the order in which a GPU adds up forces",
    )


def choose_device(environ: Mapping[str, str] = os.environ) -> str:
    """Return ``cuda:<local rank>`` where there is a GPU, else ``cpu``.

    Args:
        environ: Has ``LOCAL_RANK`` where several processes share a node.
    """
    count = wp.get_cuda_device_count()
    rank = int(environ.get("LOCAL_RANK") or 0)
    # A platform may show each process its own GPU alone.
    return f"cuda:{rank if rank < count else 0}" if count else "cpu"


class _StatePart:
    """One part of the state: its columns, and its array on the device with a host's copy that is fast to send."""

    def __init__(self, on_device: Any, first: int) -> None:
        self._device = on_device
        self._staged = on_device if on_device.device.is_cpu else wp.empty_like(on_device, device="cpu", pinned=True)
        values = self._staged.numpy()
        self.shape = values.shape
        self._values = values.reshape(len(values), -1)
        self.columns = slice(first, first + self._values.shape[1])

    def send(self, state: Array) -> None:
        """Write the part of all worlds to the device."""
        np.copyto(self._values, state[:, self.columns], casting="same_kind")
        if self._staged is not self._device:
            wp.copy(self._device, self._staged)

    def fetch(self, state: Array) -> None:
        """Read the part of all worlds from the device."""
        if self._staged is not self._device:
            wp.copy(self._staged, self._device)
            wp.synchronize_device(self._device.device)
        state[:, self.columns] = self._values


def _on_device(model: mujoco.MjModel) -> Any:
    """Return a model on the present device.

    Raises:
        UsageError: It has something that MuJoCo-Warp does not know.
    """
    try:
        return mjw.put_model(model)
    except (NotImplementedError, ValueError) as error:
        raise UsageError(
            f"MuJoCo-Warp cannot step this robot's model: {str(error).rstrip('.')}",
            source="--simulator mujoco-warp",
            hint="--simulator mujoco",
        ) from error


class WarpBatch:
    """Physics of N worlds; see :class:`gaitway_runtime.simulators.mujoco.engine.WorldBatch`.

    Args:
        model: The compiled model.
        num_envs: Worlds, N.
        device: Warp's name of the device.

    Raises:
        UsageError: The model has something that MuJoCo-Warp does not know.
    """

    def __init__(self, model: mujoco.MjModel, num_envs: int, device: str) -> None:
        if device == "cpu":
            _log.warning("MuJoCo-Warp runs on the CPU: right, but much slower than --simulator mujoco")
        _log.info("the first step loads MuJoCo-Warp's kernels; to compile them, once, takes a minute or two")
        self._host_model, self._count = model, num_envs
        self._device = wp.get_device(device)
        self.capacity = capacity_of(model)
        with wp.ScopedDevice(self._device):
            self._model = _on_device(model)
            self._model.opt.warn_overflow = 0  # looked at after every step
            room = self.capacity
            rows = max(room.rows, 1)
            self._data = mjw.make_data(
                model, num_envs, nconmax=max(room.contacts, 1), njmax=rows, njmax_nnz=rows * model.nv
            )
        self._parts = self._lay_out()
        self.state: Array = np.zeros((num_envs, max(part.columns.stop for part in self._parts.values())))
        for part in self._parts.values():
            part.fetch(self.state)
        self._start = self.state[0].copy()
        self._sent = {name for name in _ALWAYS_SENT if name in self._parts}
        self.warning = np.zeros((num_envs, int(mujoco.mjtWarning.mjNWARNING), 2), np.int64)
        self._outputs: dict[str, Array] = {name: np.zeros(getattr(self._data, name).numpy().shape) for name in _OUTPUTS}
        self._fields: dict[str, Array] = {}
        self._written: set[str] = set()
        self._records: dict[tuple[int, str], Any] = {}
        self._graphs: dict[tuple[int, tuple[str, ...]], Any] = {}

    def _lay_out(self) -> dict[str, _StatePart]:
        parts: dict[str, _StatePart] = {}
        first = 0
        for name in _STATE:
            on_device = getattr(self._data, name)
            if on_device.size:
                parts[name] = _StatePart(on_device, first)
                first = parts[name].columns.stop
        return parts

    def bind(self, name: str, /) -> Array:
        """See :meth:`WorldBatch.bind`."""
        if name in self._outputs:
            return self._outputs[name]
        if name not in self._parts and name in _STATE:  # a model without any
            return np.zeros((self._count, *getattr(self._data, name).numpy().shape[1:]))
        part = self._parts[name]
        self._sent.add(name)
        return self.state[:, part.columns].reshape(part.shape)

    def expand(self, name: str, /) -> Array:
        """See :meth:`WorldBatch.expand`."""
        if name not in self._fields:
            shared = getattr(self._host_model, name)
            self._fields[name] = np.repeat(shared[None], self._count, axis=0)
        self._written.add(name)
        return self._fields[name]

    def expanded(self, name: str, /) -> Array | None:
        """See :meth:`WorldBatch.expanded`."""
        return self._fields.get(name)

    def set_const(self) -> None:
        """See :meth:`WorldBatch.set_const`."""
        with wp.ScopedDevice(self._device):
            self._send_fields()
            for name in _DERIVED:
                self._replace(name, np.repeat(getattr(self._model, name).numpy()[:1], self._count, axis=0))
            mjw.set_const(self._model, self._data)

    def step(self, *, nstep: int) -> None:
        """See :meth:`WorldBatch.step`."""
        with wp.ScopedDevice(self._device):
            self._send()
            self._run(nstep, ())
            self._fetch()

    def rollout(self, nstep: int, /, *, record: Sequence[Any], out: Any) -> None:
        """See :meth:`WorldBatch.rollout`."""
        names = tuple(record)
        with wp.ScopedDevice(self._device):
            self._send()
            self._run(nstep, names)
            diverged = self._fetch()
            for name in names:
                out[name][:] = self._records[nstep, name].numpy().transpose(1, 0, 2)
                out[name][diverged] = 0.0

    def _send(self) -> None:
        self._send_fields()
        for name in self._sent:
            self._parts[name].send(self.state)

    def _send_fields(self) -> None:
        """Bring the fields that were handed out for writing to the device."""
        for name in self._written:
            self._replace(name, self._fields[name])
        self._written.clear()

    def _replace(self, name: str, values: NDArray[Any]) -> None:
        """Give a field of the device's model a value for each world."""
        there = getattr(self._model, name)
        fitting = np.ascontiguousarray(values, np.float32)
        if there.shape[0] == self._count:
            there.assign(fitting)
            return
        setattr(self._model, name, wp.array(fitting, dtype=there.dtype))
        self._graphs.clear()

    def _run(self, nstep: int, record: tuple[str, ...]) -> None:
        """Take physics steps on the device: on a GPU as one graph, from the second time on."""
        key = (nstep, record)
        if key in self._graphs:
            wp.capture_launch(self._graphs[key])
            return
        for name in record:
            if (nstep, name) not in self._records:
                self._records[nstep, name] = wp.zeros((nstep, *getattr(self._data, name).shape), dtype=float)
        self._launch(nstep, record)
        if self._device.is_cuda:
            with wp.ScopedCapture() as capture:
                self._launch(nstep, record)
            self._graphs[key] = capture.graph

    def _launch(self, nstep: int, record: tuple[str, ...]) -> None:
        for number in range(nstep):
            mjw.step(self._model, self._data)
            for name in record:
                wp.copy(self._records[nstep, name][number], getattr(self._data, name))

    def _fetch(self) -> NDArray[np.bool_]:
        """Bring the new states and outputs back; return which worlds diverged, (N,), which begin anew as MuJoCo's do.

        Raises:
            JobFailed: Contacts were lost for want of room.
        """
        for name in _RETURNED:
            if name in self._parts:
                self._parts[name].fetch(self.state)
        for name, values in self._outputs.items():
            values[:] = getattr(self._data, name).numpy()
        if (self._data.overflow.numpy() & int(_LOST)).any():
            raise JobFailed(
                f"MuJoCo-Warp has no room for more than {self.capacity.contacts} contacts a world",
                source="--simulator mujoco-warp",
                hint="--simulator mujoco makes room as it needs it",
            )
        diverged = self._diverged()
        if diverged.any():
            self.state[diverged] = self._start
            for values in self._outputs.values():
                values[diverged] = 0.0
        return diverged

    def _diverged(self) -> NDArray[np.bool_]:
        """Return which worlds are not finite, and count it as MuJoCo's warnings, (N,)."""
        found = np.zeros(self._count, np.bool_)
        for name, kind in (("qpos", mujoco.mjtWarning.mjWARN_BADQPOS), ("qvel", mujoco.mjtWarning.mjWARN_BADQVEL)):
            values = self.state[:, self._parts[name].columns]
            # Negated, so that what is not a number counts too.
            if not np.abs(values).max() <= _FINITE:
                bad = ~(np.abs(values).max(axis=1) <= _FINITE)
                self.warning[bad, int(kind), 1] += 1
                found |= bad
        return found
