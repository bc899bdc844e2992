"""Fit of a robot's drives: gains, armature, friction and delay by which its joints follow their targets as logged.

The robot's model is put into the logged state at many moments and driven with the logged targets for a few control
steps. Over so short a time the joints depend on their drives, and hardly on what is not logged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from ..spec.contract import PolicyContract
from .faults import LogFault
from .robot_log import Array, RobotLog

STEPS = 4
"""Control steps of one window."""
WINDOWS = 80
"""Moments at which the model is put into the logged state."""
BETTER = 0.6
"""Error of a changed drive, as a share of the contract's, below which the change is believed."""


@dataclass(frozen=True)
class Drives:
    """Drives as they differ from the contract's."""

    stiffness: float = 1.0
    """Factor on every position gain."""
    damping: float = 1.0
    """Factor on every velocity gain."""
    armature: float = 0.0
    """Added to every joint [kg m^2]."""
    friction: float = 0.0
    """Coulomb friction added to every joint [N m]."""
    delay: int = 0
    """Control steps by which targets take effect late."""


CHOICES: dict[str, tuple[float, ...]] = {
    "stiffness": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0),
    "damping": (0.2, 0.35, 0.5, 0.7, 1.5, 2.0, 3.0, 4.0, 6.0),
    "armature": (0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.25, 0.4),
    "friction": (0.3, 0.6, 1.0, 2.0, 3.0, 5.0, 8.0),
    "delay": (1, 2, 3),
}
"""Values that are tried, by the drive's property."""


def drive_faults(log: RobotLog, contract: PolicyContract, model: mujoco.MjModel) -> Iterator[LogFault]:
    """Yield how the drives differ from the contract's.

    Args:
        log: The log, in the contract's joint order, at its control rate.
        contract: The policy's contract.
        model: The robot on its ground, with the contract's drives.
    """
    fit = DriveFit(log, contract, model)
    found, error, before = fit.best()
    if found == Drives():
        return
    gain = f"joint velocities are off by {error:.3g} rad/s instead of {before:.3g}"
    texts = {
        "stiffness": (
            found.stiffness,
            1.0,
            "gains",
            f"The position gains act as if times {found.stiffness:.2f}",
        ),
        "damping": (found.damping, 1.0, "gains", f"The velocity gains act as if times {found.damping:.2f}"),
        "armature": (
            found.armature,
            0.0,
            "armature",
            f"The joints have {found.armature:.2g} kg m^2 more armature",
        ),
        "friction": (found.friction, 0.0, "friction", f"The joints have about {found.friction:.2g} N m of friction"),
        "delay": (found.delay, 0, "delay", f"Targets take effect about {found.delay} control steps late"),
    }
    for value, plain, kind, cause in texts.values():
        if value != plain:
            yield LogFault(
                kind=kind,
                where="drives",
                cause=f"{cause} than the policy was trained with" if kind == "armature" else cause,
                evidence=f"{gain} over {STEPS * contract.timing.control_dt * 1e3:.0f} ms",
                advice="set the drive as the contract says, or train with what the robot has",
            )


class DriveFit:
    """Windows of a log, and the error of the model over them with other drives.

    Args:
        log: The log, in the contract's joint order, at its control rate.
        contract: The policy's contract.
        model: The robot on its ground.
    """

    def __init__(self, log: RobotLog, contract: PolicyContract, model: mujoco.MjModel) -> None:
        self._log = log
        self._model = model
        self._names = contract.robot.joint_names
        self._substeps = max(1, round(contract.timing.control_dt / model.opt.timestep))
        joints = [model.joint(name) for name in self._names]
        self._qpos = np.asarray([int(joint.qposadr[0]) for joint in joints])
        self._dof = np.asarray([int(joint.dofadr[0]) for joint in joints])
        self._actuators = np.asarray([model.actuator(name).id for name in self._names])
        self._plain = (
            model.actuator_gainprm.copy(),
            model.actuator_biasprm.copy(),
            model.dof_armature.copy(),
            model.dof_frictionloss.copy(),
        )
        self._free = bool(model.njnt) and model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE
        first = max(3, len(log) // 50)
        self._starts = np.unique(np.linspace(first, len(log) - STEPS - 2, WINDOWS).astype(int))
        self._data = mujoco.MjData(model)

    def best(self) -> tuple[Drives, float, float]:
        """Return the drives that explain the log best, their error, and the error of the contract's [rad/s].

        At most two properties differ: each is taken only where it lowers the error by much.
        """
        found, error = Drives(), self.error(Drives())
        before = error
        for _ in range(2):
            trials = [
                (self.error(changed), changed)
                for name, values in CHOICES.items()
                if getattr(found, name) == getattr(Drives(), name)
                for changed in (dataclasses.replace(found, **{name: type(getattr(found, name))(v)}) for v in values)
            ]
            least, changed = min(trials, key=lambda trial: trial[0])
            if least > BETTER * error:
                break
            found, error = changed, least
        if found != Drives():
            found, error = self._refined(found)
        return found, error, before

    def _refined(self, coarse: Drives) -> tuple[Drives, float]:
        """Return the drives near those of the coarse search that explain the log best."""
        from scipy.optimize import minimize

        names = [name for name in CHOICES if name != "delay" and getattr(coarse, name) != getattr(Drives(), name)]
        if not names:
            return coarse, self.error(coarse)
        start = np.log([getattr(coarse, name) for name in names])

        def drives(logs: Array) -> Drives:
            changes: dict[str, Any] = {name: float(np.exp(value)) for name, value in zip(names, logs, strict=True)}
            return dataclasses.replace(coarse, **changes)

        done = minimize(lambda logs: self.error(drives(logs)), start, method="Nelder-Mead", options={"maxfev": 60})
        return drives(done.x), float(done.fun)

    def error(self, drives: Drives) -> float:
        """Return the root mean square error of joint velocities over the windows [rad/s]."""
        self._set(drives)
        try:
            errors = [self._window(int(start), drives.delay) for start in self._starts]
        finally:
            self._set(Drives())
        # The worst windows are those in which a foot met the ground at another moment.
        kept = np.sort(np.asarray(errors))[: max(1, int(0.8 * len(errors)))]
        return float(np.sqrt(kept.mean()))

    def _window(self, start: int, delay: int) -> float:
        log, data = self._log, self._data
        assert log.joint_vel is not None and log.targets is not None
        self._place(start)
        total = 0.0
        for step in range(STEPS):
            data.ctrl[self._actuators] = log.targets[max(0, start + step - delay)]
            for _ in range(self._substeps):
                mujoco.mj_step(self._model, data)
            total += float(((data.qvel[self._dof] - log.joint_vel[start + step + 1]) ** 2).mean())
        return total / STEPS

    def _place(self, row: int) -> None:
        """Put the model into the logged state of a row."""
        log, data = self._log, self._data
        assert log.joint_pos is not None and log.joint_vel is not None
        mujoco.mj_resetData(self._model, data)
        data.qpos[self._qpos] = log.joint_pos[row]
        data.qvel[self._dof] = log.joint_vel[row]
        if not self._free:
            mujoco.mj_forward(self._model, data)
            return
        if log.base_quat is not None:
            data.qpos[3:7] = log.base_quat[row]
        if log.base_ang_vel is not None:
            data.qvel[3:6] = log.base_ang_vel[row]
        mujoco.mj_kinematics(self._model, data)
        if log.base_pos is not None:
            data.qpos[:3] = log.base_pos[row]
        else:
            data.qpos[2] -= self._clearance()
        if log.base_lin_vel is not None:
            turned = np.zeros(3)
            mujoco.mju_rotVecQuat(turned, log.base_lin_vel[row], data.qpos[3:7])
            data.qvel[:3] = turned
        mujoco.mj_forward(self._model, data)

    def _clearance(self) -> float:
        """Return how far the model's lowest geom is above the ground [m]."""
        bottoms = [
            float(self._data.geom_xpos[geom, 2] - self._model.geom_rbound[geom])
            for geom in range(self._model.ngeom)
            if self._model.geom_bodyid[geom] > 0 and self._model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_SPHERE
        ]
        return min(bottoms, default=0.0)

    def _set(self, drives: Drives) -> None:
        gain, bias, armature, friction = self._plain
        model = self._model
        model.actuator_gainprm[:], model.actuator_biasprm[:] = gain, bias
        model.actuator_gainprm[:, 0] *= drives.stiffness
        model.actuator_biasprm[:, 1] *= drives.stiffness
        model.actuator_biasprm[:, 2] *= drives.damping
        model.dof_armature[:], model.dof_frictionloss[:] = armature, friction
        model.dof_armature[self._dof] += drives.armature
        model.dof_frictionloss[self._dof] += drives.friction


def can_fit(log: RobotLog) -> bool:
    """Whether a log has what a fit of the drives needs."""
    return log.targets is not None and log.joint_pos is not None and log.joint_vel is not None
