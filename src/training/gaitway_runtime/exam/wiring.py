"""Wiring of many policies at once: from each world's features to the vector that its conventions ask for, and back.

Every world may have conventions of its own; all are index and gain arrays, so that a step costs no loop over worlds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..simulators.mujoco.env import MujocoEnv
from ..tasks.arrays import Array
from ..tasks.mdp.observations import SCAN_X, SCAN_Y
from ..tasks.robots import RobotSpec
from . import conventions as words
from .conventions import SCAN_OFFSET, Conventions, ExamTerm, Floats, size_of


class FeatureLayout:
    """Places of the quantities in a world's feature vector.

    Args:
        joints: Joints of the robot.
        actions: Outputs of the policy.
        scan: Whether a height scan is kept.
    """

    def __init__(self, joints: int, actions: int, *, scan: bool) -> None:
        self.joints, self.actions, self.scan = joints, actions, scan
        sizes = {
            "lin base": 3,
            "lin world": 3,
            "lin heading": 3,
            "ang base": 3,
            "ang world": 3,
            "ang heading": 3,
            "gravity": 3,
            "command": 3,
            "orientation": 4,
            "euler": 3,
            "clock": 2,
            "q": joints,
            "dq": joints,
            "last": actions,
            "scan": words.size_of(words.HEIGHT_SCAN, joints) if scan else 0,
        }
        self.place: dict[str, int] = {}
        at = 0
        for name, size in sizes.items():
            self.place[name] = at
            at += size
        self.size = at

    def of_term(self, term: ExamTerm, order: Sequence[int]) -> NDArray[np.int64]:
        """Return the feature of each value of one frame of a term.

        Args:
            term: The term.
            order: Robot's joint of each value of a term about joints.
        """
        quantity = term.quantity
        if quantity in (words.JOINT_POS, words.JOINT_VEL):
            return self.place["q" if quantity == words.JOINT_POS else "dq"] + np.array(order, np.int64)
        if quantity in (words.LIN_VEL, words.ANG_VEL):
            return self.place[f"{'lin' if quantity == words.LIN_VEL else 'ang'} {term.frame}"] + np.arange(3)
        if quantity == words.ORIENTATION:
            return self.place["orientation"] + (np.array([1, 2, 3, 0]) if term.frame == "xyzw" else np.arange(4))
        if quantity == words.EULER:
            return self.place["euler"] + (np.arange(2, -1, -1) if term.frame == "ypr" else np.arange(3))
        names = {
            words.ROLL_PITCH: "euler",
            words.GRAVITY: "gravity",
            words.COMMAND: "command",
            words.CLOCK: "clock",
            words.LAST: "last",
            words.HEIGHT_SCAN: "scan",
        }
        if quantity == words.HEIGHT_SCAN and term.frame == "y":
            grid = np.arange(len(SCAN_X) * len(SCAN_Y)).reshape(len(SCAN_Y), len(SCAN_X))
            return self.place["scan"] + grid.T.ravel()
        return self.place[names[quantity]] + np.arange(size_of(quantity, self.actions))


@dataclass(frozen=True, eq=False)
class Wire:
    """Conventions of one world as arrays."""

    index: NDArray[np.int64]
    """Place of each input in the history of features, newest frame first, (W,)."""
    gain: Floats
    bias: Floats
    low: Floats
    high: Floats
    depth: int
    """Frames of history that are read."""
    act_index: NDArray[np.int64]
    """Output that drives each joint of the simulator's action, (A,)."""
    act_gain: Floats
    act_bias: Floats
    act_low: Floats
    act_high: Floats
    stiffness: tuple[float, ...]
    damping: tuple[float, ...]
    period: float


def wire(found: Conventions, spec: RobotSpec, layout: FeatureLayout, env_scales: Sequence[float]) -> Wire:
    """Return conventions as arrays.

    Args:
        found: The conventions.
        spec: The robot.
        layout: Places of the features.
        env_scales: Radians for a unit of each of the simulator's own actions, in the robot's order.
    """
    frames: list[list[tuple[NDArray[np.int64], Floats, Floats, Floats, Floats]]] = []
    for term in found.terms:
        order = term.joints or found.joints
        places = layout.of_term(term, order)
        scale = np.resize(np.array(term.scales, np.float32), len(places))
        if term.quantity == words.LAST:
            scale = scale * np.float32(found.shown_scale)
        offset = _offset(term, found, order, len(places))
        low, high = np.array(term.clip, np.float32) if term.clip else np.array([-np.inf, np.inf], np.float32)
        bounds = np.sort(np.stack([low * scale, high * scale]), axis=0)
        block = (places, scale, -offset * scale, bounds[0], bounds[1])
        ages = range(term.frames) if term.newest_first else range(term.frames - 1, -1, -1)
        frames.append([(block[0] + age * layout.size, *block[1:]) for age in ages])
    rows = [block for term in frames for block in term]
    if found.stacked > 1:
        ages = range(found.stacked) if found.stacked_newest_first else range(found.stacked - 1, -1, -1)
        rows = [(block[0] + age * layout.size, *block[1:]) for age in ages for block in rows]
    index, gain, bias, low_all, high_all = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    driven = np.argsort(np.array(found.joints))
    pose = np.array(found.action_pose)[np.array(found.joints)[driven]]
    default = np.array(spec.default_joint_pos)[np.array(found.joints)[driven]]
    limits = np.array(found.target_bounds or ((-np.inf, np.inf),) * len(driven))[driven]
    return Wire(
        index=index,
        gain=gain,
        bias=bias,
        low=low_all,
        high=high_all,
        depth=int(index.max()) // layout.size + 1,
        act_index=driven,
        act_gain=(np.array(found.action_scale)[driven] / np.array(env_scales)).astype(np.float32),
        act_bias=((pose - default) / np.array(env_scales)).astype(np.float32),
        act_low=((limits[:, 0] - default) / np.array(env_scales)).astype(np.float32),
        act_high=((limits[:, 1] - default) / np.array(env_scales)).astype(np.float32),
        stiffness=found.stiffness or spec.stiffness,
        damping=found.damping or spec.damping,
        period=found.period,
    )


def _offset(term: ExamTerm, found: Conventions, order: Sequence[int], size: int) -> Floats:
    if term.offset:
        return np.resize(np.array(term.offset, np.float32), size)
    if term.quantity == words.JOINT_POS:
        return np.array([found.observed_pose[joint] for joint in order], np.float32)
    return np.zeros(size, np.float32)


class Harness:
    """The wires of all worlds of an environment, with what they remember.

    Args:
        wires: One for each world.
        layout: Places of the features.
        env: The environment whose observations are read; its task's terms are Isaac Lab's.
    """

    def __init__(self, wires: Sequence[Wire], layout: FeatureLayout, env: MujocoEnv) -> None:
        self.layout, self.env = layout, env
        count = len(wires)
        unique = list(dict.fromkeys(wires))
        row = {id(each): number for number, each in enumerate(unique)}
        rows = np.array([row[id(each)] for each in wires])
        self._index = np.stack([each.index for each in unique])[rows]
        self._gain, self._bias, self._low, self._high = (
            np.stack([getattr(each, name) for each in unique])[rows] for name in ("gain", "bias", "low", "high")
        )
        self._bounded = bool(np.isfinite(self._low).any())
        self._act_index, self._act_gain, self._act_bias, self._act_low, self._act_high = (
            np.stack([getattr(each, name) for each in unique])[rows]
            for name in ("act_index", "act_gain", "act_bias", "act_low", "act_high")
        )
        self._depth = max(each.depth for each in unique)
        self._history = np.zeros((count, self._depth, layout.size), np.float32)
        self._fresh = np.ones(count, np.bool_)
        self._last = np.zeros((count, layout.actions), np.float32)
        self._periods = np.array([each.period for each in wires])
        self._time = np.zeros(count)
        self._worlds = np.arange(count)[:, None]
        self._slices = {term.quantity: slice(term.start, term.stop) for term in env.contract.observations}
        self._default = np.array(env.engine.spec.default_joint_pos, np.float32)
        self.gains = (
            np.array([each.stiffness for each in wires]),
            np.array([each.damping for each in wires]),
        )

    def restart(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Forget the past of some worlds, or of all."""
        chosen = slice(None) if mask is None else mask
        self._fresh[chosen] = True
        self._last[chosen] = 0.0
        self._time[chosen] = 0.0

    def observe(self, observations: Floats) -> Floats:
        """Return each world's input vector, (N, W), for the simulator's observations, (N, size)."""
        features = self._features(observations)
        self._history = np.roll(self._history, 1, axis=1) if self._depth > 1 else self._history
        self._history[:, 0] = features
        if self._fresh.any():
            self._history[self._fresh] = features[self._fresh, None]
            self._fresh[:] = False
        flat = self._history.reshape(len(features), -1)
        seen: Floats = flat[self._worlds, self._index] * self._gain + self._bias
        if self._bounded:
            np.clip(seen, self._low, self._high, out=seen)
        return seen

    def act(self, outputs: Floats) -> Floats:
        """Return the simulator's actions for the policies' outputs, both (N, A)."""
        raw = np.nan_to_num(outputs, nan=0.0, posinf=1e6, neginf=-1e6)
        self._last = raw
        self._time += self.env.step_dt
        driven: Floats = raw[self._worlds, self._act_index] * self._act_gain + self._act_bias
        return np.clip(driven, self._act_low, self._act_high)

    def _features(self, observations: Floats) -> Floats:
        layout, state, place = self.layout, self.env.state, self.layout.place
        found = np.zeros((len(observations), layout.size), np.float32)

        def put(name: str, values: Array | Floats) -> None:
            found[:, place[name] : place[name] + values.shape[1]] = values

        lin, ang = (observations[:, self._slices[name]] for name in (words.LIN_VEL, words.ANG_VEL))
        rot = state.root_rot_w.astype(np.float32)
        heading = _about_z(state.heading_w).astype(np.float32)
        for name, vector in (("lin", lin), ("ang", ang)):
            world = np.einsum("nij,nj->ni", rot, vector)
            put(f"{name} base", vector)
            put(f"{name} world", world)
            put(f"{name} heading", np.einsum("nji,nj->ni", heading, world))
        put("gravity", observations[:, self._slices[words.GRAVITY]])
        put("command", observations[:, self._slices[words.COMMAND]])
        put("orientation", state.root_quat_w)
        put("euler", euler_angles(rot))
        phase = 2 * np.pi * self._time / self._periods
        put("clock", np.stack([np.sin(phase), np.cos(phase)], axis=1))
        put("q", observations[:, self._slices[words.JOINT_POS]] + self._default)
        put("dq", observations[:, self._slices[words.JOINT_VEL]])
        put("last", self._last)
        if layout.scan:
            put("scan", self._scan(observations))
        return found

    def _scan(self, observations: Floats) -> Floats:
        """Return the height scan: the task's own, or that of flat ground."""
        if words.HEIGHT_SCAN in self._slices:
            return observations[:, self._slices[words.HEIGHT_SCAN]]
        height = np.clip(self.env.state.root_pos_w[:, 2:3] - SCAN_OFFSET, -1.0, 1.0).astype(np.float32)
        return np.repeat(height, words.size_of(words.HEIGHT_SCAN, 0), axis=1)


def euler_angles(rotation: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return roll, pitch and yaw, (N, 3) [rad], of rotations base to world, (N, 3, 3): about z, then y, then x."""
    roll = np.arctan2(rotation[:, 2, 1], rotation[:, 2, 2])
    pitch = -np.arcsin(np.clip(rotation[:, 2, 0], -1.0, 1.0))
    yaw = np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])
    return np.stack([roll, pitch, yaw], axis=1)


def _about_z(yaw: Array) -> Array:
    """Return rotations about the vertical, (N, 3, 3), of angles (N,)."""
    found = np.zeros((len(yaw), 3, 3))
    found[:, 0, 0] = found[:, 1, 1] = np.cos(yaw)
    found[:, 1, 0] = np.sin(yaw)
    found[:, 0, 1] = -found[:, 1, 0]
    found[:, 2, 2] = 1.0
    return found
