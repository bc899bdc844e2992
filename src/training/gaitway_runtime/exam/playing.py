"""Playing of a policy under conventions in the task's own environment, with what a robot's hardware would feel."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..policies.confined.policy_file import AskedPolicy
from ..simulators.mujoco.env import MujocoEnv
from ..tasks.arrays import Array
from .conventions import HEIGHT_SCAN, Conventions, Floats
from .wiring import FeatureLayout, Harness, wire

GRAVITY_ACCELERATION = 9.81
_SATURATED = 0.98
"""Share of its limit from which a drive counts as saturated."""
_FAST_HZ = 10.0
"""Frequency from which a change of a target is trembling rather than walking [Hz]."""
_GAIT_STEPS = 150
"""Steps of the gait diagram."""


class ExamActor:
    """A policy under conventions, as the evaluation asks policies.

    Args:
        policy: The policy.
        found: Its conventions.
        env: The environment that it acts in.
    """

    def __init__(self, policy: AskedPolicy, found: Conventions, env: MujocoEnv) -> None:
        spec = env.engine.spec
        layout = FeatureLayout(len(spec.joint_names), policy.outputs, scan=found.term(HEIGHT_SCAN) is not None)
        one = wire(found, spec, layout, env.cfg.action.scales)
        self._policy, self._env = policy, env
        self._harness = Harness([one] * env.num_envs, layout, env)
        if found.stiffness and spec.actuator == "implicit_pd":
            env.set_gains(found.stiffness, found.damping)

    def act(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the simulator's actions for its observations."""
        return self._harness.act(self._policy.act(self._harness.observe(observations)))

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Forget the past of the masked worlds, or of all."""
        self._policy.reset(mask)
        self._harness.restart(mask)


@dataclass(frozen=True, kw_only=True)
class JointUse:
    """What a policy asks of one joint."""

    joint: str
    torque: float
    """Greatest, [N m]."""
    torque_use: float | None
    """The 99th percentile as a share of the limit; None where there is none."""
    saturated: float
    """Share of the time at the limit."""
    velocity: float
    """Greatest, [rad/s]."""
    velocity_use: float | None
    """As a share of the limit, where one is known."""
    range_use: float
    """Greatest distance from the middle of the joint's range, as a share of half the range."""
    beyond: float
    """Share of the time beyond the soft limit."""


@dataclass(frozen=True, kw_only=True)
class StepPattern:
    """How the feet stand in turn."""

    feet: tuple[str, ...]
    contacts: NDArray[np.bool_]
    """Of the first world's first steps, (T, feet)."""
    duty: tuple[float, ...]
    """Share of the time each foot stands."""
    steps_per_second: float
    """Touch-downs of a foot in a second."""
    step_dt: float


@dataclass(frozen=True, kw_only=True)
class Demands:
    """What a policy asks of the hardware."""

    joints: tuple[JointUse, ...]
    gait: StepPattern | None
    target_change: float
    """Mean change of a target from step to step [rad]."""
    trembling: float
    """Share of the targets' movement above 10 Hz."""
    power: float
    """Mean mechanical power of all joints [W]."""
    cost_of_transport: float | None
    """Power over weight and speed; None where it hardly moves."""
    speed: float
    """Mean horizontal speed [m/s]."""
    tilt: float
    """99th percentile of the base's tilt [rad]."""


@dataclass
class Recorder:
    """What is kept of every step; it stands between the policy and the environment.

    Attributes:
        actor: The policy.
        env: The environment.
    """

    actor: ExamActor
    env: MujocoEnv
    torques: list[Array] = field(default_factory=list)
    velocities: list[Array] = field(default_factory=list)
    positions: list[Array] = field(default_factory=list)
    targets: list[Array] = field(default_factory=list)
    contacts: list[NDArray[np.bool_]] = field(default_factory=list)
    speeds: list[Array] = field(default_factory=list)
    tilts: list[Array] = field(default_factory=list)

    def act(self, observations: Floats) -> Floats:
        """Return the actions, and keep what the last step did."""
        state = self.env.state
        worlds = slice(0, _WORLDS)
        if len(self.targets) < _STEPS:
            self.torques.append(state.applied_torque[worlds].copy())
            self.velocities.append(state.joint_vel[worlds].copy())
            self.positions.append(state.joint_pos[worlds].copy())
            self.speeds.append(np.hypot(state.root_lin_vel_b[worlds, 0], state.root_lin_vel_b[worlds, 1]))
            self.tilts.append(np.arccos(np.clip(-state.projected_gravity_b[worlds, 2], -1, 1)))
            if "feet" in state.contacts:
                self.contacts.append(state.contacts["feet"].touching[worlds].copy())
        actions = self.actor.act(observations)
        if len(self.targets) < _STEPS:
            self.targets.append(actions[worlds].astype(np.float64) * np.array(self.env.cfg.action.scales))
        return actions

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Forget the past of the masked worlds, or of all."""
        self.actor.reset(mask)

    def demands(self) -> Demands:
        """Return what was asked of the hardware, after the first second."""
        skip = min(round(1 / self.env.step_dt), len(self.targets) // 2)
        torque, velocity, position = (
            np.stack(values)[skip:] for values in (self.torques, self.velocities, self.positions)
        )
        targets = np.stack(self.targets)[skip:]
        moved = np.abs(torque * velocity).sum(axis=2)
        speed = float(np.stack(self.speeds)[skip:].mean())
        weight = float(self.env.engine.model.body_mass.sum()) * GRAVITY_ACCELERATION
        power = float(moved.mean())
        return Demands(
            joints=tuple(self._joints(torque, velocity, position)),
            gait=self._gait(skip) if self.contacts else None,
            target_change=float(np.abs(np.diff(targets, axis=0)).mean()),
            trembling=_trembling(targets, self.env.step_dt),
            power=power,
            cost_of_transport=power / (weight * speed) if speed > _MOVES else None,
            speed=speed,
            tilt=float(np.percentile(np.stack(self.tilts)[skip:], 99)),
        )

    def _joints(self, torque: Array, velocity: Array, position: Array) -> list[JointUse]:
        spec, robot = self.env.engine.spec, self.env.contract.robot
        soft = self.env.state.soft_joint_pos_limits
        found = []
        for joint, name in enumerate(spec.joint_names):
            limit = spec.effort_limits[joint] if spec.effort_limits else None
            fastest = robot.velocity_limits[joint] if robot.velocity_limits else None
            used = np.abs(torque[:, :, joint])
            low, high = robot.joint_pos_limits[joint]
            place = np.abs(position[:, :, joint] - (low + high) / 2) / max((high - low) / 2, 1e-6)
            outside = (position[:, :, joint] < soft[joint, 0]) | (position[:, :, joint] > soft[joint, 1])
            speed = float(np.abs(velocity[:, :, joint]).max())
            found.append(
                JointUse(
                    joint=name,
                    torque=float(used.max()),
                    torque_use=float(np.percentile(used, 99)) / limit if limit else None,
                    saturated=float((used >= _SATURATED * limit).mean()) if limit else 0.0,
                    velocity=speed,
                    velocity_use=speed / fastest if fastest else None,
                    range_use=float(place.max()),
                    beyond=float(outside.mean()),
                )
            )
        return found

    def _gait(self, skip: int) -> StepPattern:
        contacts = np.stack(self.contacts)[skip:]
        landed = contacts[1:] & ~contacts[:-1]
        seconds = len(contacts) * self.env.step_dt
        return StepPattern(
            feet=tuple(self.env.engine.spec.contact_bodies["feet"]),
            contacts=contacts[:_GAIT_STEPS, 0],
            duty=tuple(contacts.mean(axis=(0, 1)).tolist()),
            steps_per_second=float(landed.sum(axis=0).mean()) / seconds,
            step_dt=self.env.step_dt,
        )


_WORLDS, _STEPS = 16, 1000
"""Worlds and steps that are kept."""
_MOVES = 0.15
"""Mean speed from which energy is related to it [m/s]."""


def _trembling(targets: Array, dt: float) -> float:
    """Return the share of the targets' spectral power above 10 Hz, their mean left out."""
    spectrum = np.abs(np.fft.rfft(targets - targets.mean(axis=0), axis=0)) ** 2
    fast = np.fft.rfftfreq(len(targets), dt) > _FAST_HZ
    total = float(spectrum.sum())
    return float(spectrum[fast].sum()) / total if total > 0 else 0.0
