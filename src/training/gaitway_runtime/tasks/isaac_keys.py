"""A task's configuration under Isaac Lab's own dotted keys: commands, rewards, terminations, curriculum, events.

``rewards.feet_air_time.params.threshold``, ``events.push_robot.params.velocity_range.x``: what is typed for the real
Isaac Lab changes the same thing here. Random events are those of training; resets hold in an evaluation too.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..spec.dotted_keys import terms_by_name
from .environment import (
    EnvCfg,
    PoseCommand,
    Push,
    Randomization,
    Range,
    Ranges,
    Reward,
    Termination,
    VelocityCommand,
    one_each,
)
from .links import FRICTION
from .robots import ROBOTS


@dataclass(frozen=True, kw_only=True)
class Key:
    """One value of a task under a key of Isaac Lab's."""

    read: Callable[[EnvCfg], Any]
    write: Callable[[EnvCfg, Any], EnvCfg]
    """Returns the task with another value."""
    hint: Any = float
    """Type of the value: ``float``, ``int`` or ``Range``."""
    least: float = -math.inf
    most: float = math.inf
    positive: bool = False
    """Whether 0 is too little."""
    native: tuple[str, ...] = ()
    """Our own keys that this one stands for."""

    def allows(self, value: float | Range) -> bool:
        """Whether a value is within the key's bounds, and a range is one."""
        ends = value if isinstance(value, tuple) else (value, value)
        low, high = ends
        above = low > 0.0 if self.positive else low >= self.least
        return len(ends) == 2 and all(map(math.isfinite, ends)) and above and low <= high <= self.most

    @property
    def allowed(self) -> str:
        """What :meth:`allows`, in words."""
        what = "LOW,HIGH" if self.hint is Range else "a whole number" if self.hint is int else "a number"
        if self.positive:
            return f"{what} above 0"
        if self.least == -math.inf:
            return what
        return (
            f"{what}, {self.least:g} or more" if self.most == math.inf else f"{what}, {self.least:g} to {self.most:g}"
        )


def isaac_keys(task: EnvCfg) -> dict[str, Key]:
    """Return the values of a task that Isaac Lab has too, by their keys there without the first ``env.``."""
    return {
        **_command_keys(task),
        **{f"rewards.{name}": key for term in task.rewards for name, key in _reward_keys(term)},
        **{
            f"terminations.{term.name}.params.{name}": key
            for term in task.terminations
            for name, key in _parameters(term, ("terminations", term.name))
        },
        **{f"curriculum.{name}": key for term in task.rewards for name, key in _curriculum_keys(term)},
        **{f"events.{name}": key for name, key in (*_reset_keys(task), *_random_keys(task))},
    }


def _at(*path: str, **more: Any) -> Key:
    """Return the key of a value that stands somewhere below the task."""
    steps = path[:-1] if path[-1] in ("0", "1") else path
    return Key(read=partial(_value, path=path), write=partial(_put, path), native=(".".join(steps),), **more)


_OFF: Mapping[str, Any] = {"push": Push(), "randomization": Randomization()}
"""What a task that has none gets when a part of it is set."""


def _value(config: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if config is None:
            return None
        config = _part(config, name)
    return config


def _part(config: Any, name: str) -> Any:
    if isinstance(config, partial):
        return config.keywords[name]
    if isinstance(config, tuple):
        return config[int(name)] if name.isdigit() else terms_by_name(config)[name]
    return getattr(config, name)


def _put(path: tuple[str, ...], config: Any, value: Any) -> Any:
    """Return a configuration with the value at a path replaced."""
    if not path:
        return value
    name, rest = path[0], path[1:]
    old = _part(config, name)
    new = _put(rest, _OFF[name] if old is None and rest else old, value)
    if isinstance(config, partial):
        return partial(config.func, *config.args, **{**config.keywords, name: new})
    if isinstance(config, tuple):
        place = int(name) if name.isdigit() else list(terms_by_name(config)).index(name)
        return (*config[:place], new, *config[place + 1 :])
    return replace(config, **{name: new})


_VELOCITY = {
    **{f"ranges.{name}": name for name in ("lin_vel_x", "lin_vel_y", "ang_vel_z", "heading")},
    "resampling_time_range": "resampling_time",
    "heading_control_stiffness": "heading_stiffness",
    "rel_heading_envs": "rel_heading_envs",
    "rel_standing_envs": "rel_standing_envs",
}
_POSE = {
    **{f"ranges.{name}": name for name in ("pos_x", "pos_y", "pos_z", "roll", "pitch", "yaw")},
    "resampling_time_range": "resampling_time",
}
"""Isaac Lab's names of a command's settings, and ours."""


def _command_keys(task: EnvCfg) -> dict[str, Key]:
    """Return the keys of the command. What is set counts in training too, in place of ranges that training has."""
    if task.command is None:
        return {}
    pose = isinstance(task.command, PoseCommand)
    term, names = ("ee_pose", _POSE) if pose else ("base_velocity", _VELOCITY)
    found = {}
    for name, ours in names.items():
        bounds: dict[str, Any] = {"hint": Range} if isinstance(getattr(task.command, ours), tuple) else {"least": 0.0}
        if ours == "resampling_time":
            bounds["positive"] = True
        if ours.startswith("rel_"):
            bounds["most"] = 1.0
        key = _at("command", ours, **bounds)
        found[f"commands.{term}.{name}"] = replace(key, write=partial(_put_command, ours))
    return found


def _put_command(name: str, task: EnvCfg, value: Any) -> EnvCfg:
    training = task.training
    if isinstance(training.command, VelocityCommand):
        training = replace(training, command=replace(training.command, **{name: value}))
    if name == "resampling_time":
        training = replace(training, command_resampling_time=None)
    changed: EnvCfg = _put(("command", name), task, value)
    return replace(changed, training=training)


def _reward_keys(term: Reward) -> Iterator[tuple[str, Key]]:
    yield f"{term.name}.weight", _at("rewards", term.name, "weight")
    for name, key in _parameters(term, ("rewards", term.name)):
        yield f"{term.name}.params.{name}", key


_PARAMETERS = {"minimum": "minimum_height"}
"""Isaac Lab's names of parameters that we call otherwise."""


def _parameters(term: Reward | Termination, path: tuple[str, ...]) -> Iterator[tuple[str, Key]]:
    """Yield the numbers and ranges that a term's function is given, by Isaac Lab's names for them."""
    if not isinstance(term.func, partial):
        return
    hints = typing.get_type_hints(term.func.func)
    for name in term.func.keywords:
        if name == "variance":  # Isaac Lab is given its root
            yield "std", _of_variance(_at(*path, "func", name, positive=True))
        elif name != "target" and hints.get(name) == Range:
            yield name, _at(*path, "func", name, hint=Range)
        elif hints.get(name) is float:
            yield _PARAMETERS.get(name, name), _at(*path, "func", name, positive=name == "std")


def _of_variance(key: Key) -> Key:
    return replace(
        key,
        read=lambda task: math.sqrt(key.read(task)),
        write=lambda task, value: key.write(task, value * value),
    )


def _curriculum_keys(term: Reward) -> Iterator[tuple[str, Key]]:
    if term.later:
        yield f"{term.name}.params.num_steps", _at("rewards", term.name, "later", "0", hint=int, least=0)
        yield f"{term.name}.params.weight", _at("rewards", term.name, "later", "1")


_SIX = ("x", "y", "z", "roll", "pitch", "yaw")


def _axis(path: tuple[str, ...], number: int, count: int) -> Key:
    """Return the key of one range out of several that may stand as one."""

    def read(task: EnvCfg) -> Range | None:
        ranges: Ranges | None = _value(task, path)
        return None if ranges is None else one_each(ranges, count)[number]

    def write(task: EnvCfg, value: Range) -> EnvCfg:
        ranges = list(one_each(_value(task, path) or Push().velocity, count))
        ranges[number] = value
        changed: EnvCfg = _put(path, task, tuple(ranges))
        return changed

    return Key(read=read, write=write, hint=Range, native=(".".join(path),))


def _reset_keys(task: EnvCfg) -> Iterator[tuple[str, Key]]:
    """Yield the keys of how an episode starts."""
    spec = ROBOTS.get(task.robot)
    if spec.base:
        for number, axis in enumerate(("x", "y")):
            yield f"reset_base.params.pose_range.{axis}", _axis(("reset", "root_xy"), number, 2)
        yield "reset_base.params.pose_range.yaw", _at("reset", "root_yaw", hint=Range)
        for number, axis in enumerate(_SIX):
            yield f"reset_base.params.velocity_range.{axis}", _axis(("reset", "root_velocity"), number, 6)
    offset, joints = ("reset", "joint_pos_offset"), len(spec.joint_names)
    if task.reset.joint_events:
        for number, event in enumerate(task.reset.joint_events):
            yield f"{event}.params.position_range", _axis(offset, number, joints)
            yield f"{event}.params.velocity_range", _axis(("reset", "joint_vel"), number, joints)
    elif set(one_each(task.reset.joint_pos_offset, joints)) == {(0.0, 0.0)}:
        yield "reset_robot_joints.params.position_range", _at("reset", "joint_pos_scale", hint=Range)
    elif len(one_each(task.reset.joint_pos_offset, 1)) == 1:
        yield "reset_robot_joints.params.position_range", _axis(offset, 0, 1)
        yield "reset_robot_joints.params.velocity_range", _axis(("reset", "joint_vel"), 0, 1)


def _random_keys(task: EnvCfg) -> Iterator[tuple[str, Key]]:
    """Yield the keys of what differs from world to world in training, and of pushes: velocity tasks have them."""
    if not isinstance(task.command, VelocityCommand):
        return
    varied = ("training", "randomization")
    for kind in ("static", "dynamic"):  # MuJoCo has one coefficient for both
        yield f"physics_material.params.{kind}_friction_range", _friction(_at(*varied, "friction", **_FACTOR))
    yield "add_base_mass.params.mass_distribution_params", _at(*varied, "base_mass", hint=Range)
    for number, axis in enumerate(("x", "y", "z")):
        yield f"base_com.params.com_range.{axis}", _base_com(number)
    for ours in ("stiffness", "damping"):
        key = _at(*varied, ours, **_FACTOR)
        yield f"robot_joint_stiffness_and_damping.params.{ours}_distribution_params", key
    push = ("training", "push")
    yield "push_robot.interval_range_s", _at(*push, "interval", hint=Range, positive=True)
    for number, axis in enumerate(("x", "y")):
        yield f"push_robot.params.velocity_range.{axis}", _axis((*push, "velocity"), number, 2)


_FACTOR: Mapping[str, Any] = {"hint": Range, "least": 0.0}


def _friction(key: Key) -> Key:
    """Return the key of a factor on friction as one of the coefficient, which all walking robots share."""

    def read(task: EnvCfg) -> Range | None:
        factor = key.read(task)
        return None if factor is None else (factor[0] * FRICTION, factor[1] * FRICTION)

    return replace(
        key, read=read, write=lambda task, value: key.write(task, (value[0] / FRICTION, value[1] / FRICTION))
    )


def _base_com(number: int) -> Key:
    key = _at("training", "randomization", "base_com")

    def read(task: EnvCfg) -> Range | None:
        varied = task.training.randomization
        return varied.base_com_ranges[number] if varied else None

    def write(task: EnvCfg, value: Range) -> EnvCfg:
        ranges = list((task.training.randomization or Randomization()).base_com_ranges)
        ranges[number] = value
        return key.write(task, tuple(ranges))

    return replace(key, read=read, write=write, hint=Range)
