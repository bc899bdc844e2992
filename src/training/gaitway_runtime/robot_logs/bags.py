"""Reader of rosbag2 folders and MCAP files: ROS messages on a common clock, through the ``rosbags`` library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..spec.errors import UsageError
from ..spec.packages import missing_package
from .robot_log import Array, RobotLog

VECTORS = {"observation": "observations", "action": "actions", "target": "targets"}
"""Channel of a ``Float32MultiArray`` or ``Float64MultiArray`` topic, by a word in its name."""


def read_bag(path: Path) -> RobotLog:
    """Read a bag. Its clock is that of the joint states; every other topic is held at its last value before.

    Args:
        path: A rosbag2 folder, one of its ``.db3`` files, or an MCAP file.

    Raises:
        UsageError: It cannot be read, or has no ``sensor_msgs/JointState``.
        ConfigError: The ``rosbags`` library is not installed.
    """
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError
        from rosbags.typesys import Stores, get_typestore
    except ModuleNotFoundError as error:
        raise missing_package("this kind of log", error, "logs") from None
    place = path.parent if path.suffix == ".db3" and path.is_file() else path
    series: dict[str, list[tuple[float, Array]]] = {}
    joint_names: tuple[str, ...] = ()
    try:
        with AnyReader([place], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
            for connection, stamp, raw in reader.messages():
                message = reader.deserialize(raw, connection.msgtype)
                if connection.msgtype.endswith("/JointState") and not joint_names:
                    joint_names = tuple(message.name)
                for channel, values in _channels(connection.msgtype, connection.topic, message):
                    series.setdefault(channel, []).append((stamp * 1e-9, values))
    except (AnyReaderError, OSError, KeyError, ValueError) as error:
        raise UsageError(f"the bag cannot be read: {error}", source=str(path)) from None
    if "joint_pos" not in series:
        raise UsageError(
            "the bag has no joint states", source=str(path), allowed="a topic of type sensor_msgs/msg/JointState"
        )
    time = np.asarray([stamp for stamp, _ in series["joint_pos"]])
    channels = {name: _held(points, time) for name, points in series.items()}
    return RobotLog(source=str(path), time=time - time[0], joint_names=joint_names, **channels)


def _channels(kind: str, topic: str, message: Any) -> Iterator[tuple[str, Array]]:
    """Yield what a message says, as channels of a log."""
    name = kind.rpartition("/")[2]
    if name == "JointState":
        fields = {"joint_pos": message.position, "joint_vel": message.velocity, "joint_effort": message.effort}
        yield from ((channel, np.asarray(values)) for channel, values in fields.items() if len(values))
    elif name == "Imu":
        quat, rate = message.orientation, message.angular_velocity
        yield "base_quat", np.asarray([quat.w, quat.x, quat.y, quat.z])
        yield "base_ang_vel", np.asarray([rate.x, rate.y, rate.z])
    elif name in ("Twist", "TwistStamped"):
        twist = message.twist if name == "TwistStamped" else message
        yield "command", np.asarray([twist.linear.x, twist.linear.y, twist.angular.z])
    elif name in ("Float32MultiArray", "Float64MultiArray"):
        for word, channel in VECTORS.items():
            if word in topic:
                yield channel, np.asarray(message.data, dtype=np.float64)


def _held(points: list[tuple[float, Array]], time: Array) -> Array:
    """Return a series on another clock: at each moment the last value that had arrived."""
    stamps = np.asarray([stamp for stamp, _ in points])
    rows = np.clip(np.searchsorted(stamps, time + 1e-9, side="right") - 1, 0, len(points) - 1)
    return np.stack([np.asarray(values, dtype=np.float64) for _, values in points])[rows]
