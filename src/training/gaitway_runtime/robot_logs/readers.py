"""Readers of robot logs, one for each file format: npz, CSV, Parquet, MCAP and rosbag2."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..spec.errors import UsageError
from ..spec.packages import missing_package
from .robot_log import CHANNELS, Array, RobotLog

MAX_ROWS = 1_000_000
"""Longest log that is read [rows]."""

_COLUMN = re.compile(r"(?P<channel>[a-z_]+?)[._](?P<part>[A-Za-z0-9_-]+)")
_AXES = {"w": 0, "x": 1, "y": 2, "z": 3}


def read_log(path: Path) -> RobotLog:
    """Read a log.

    Args:
        path: A file whose suffix is one of :data:`READERS`, or a rosbag2 folder.

    Raises:
        UsageError: There is no such file, its format is unknown, or its content is not a log.
        ConfigError: The package that reads its format is not installed.
    """
    if not path.exists():
        raise UsageError(f"there is no log {path}", source="LOG")
    suffix = ".db3" if path.is_dir() else path.suffix.lower()
    if suffix not in READERS:
        raise UsageError(f"a log of kind '{path.suffix}' cannot be read", source=str(path), allowed=", ".join(READERS))
    return READERS[suffix](path).checked()


def _read_npz(path: Path) -> RobotLog:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (AttributeError, TypeError):  # one array, as np.save writes it
        raise UsageError("the log is one array without a name", source=str(path), allowed="np.savez") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise UsageError(f"the log cannot be read: {error}", source=str(path)) from None
    return from_arrays(arrays, str(path))


def from_arrays(arrays: Mapping[str, np.ndarray], source: str) -> RobotLog:
    """Return a log of named arrays.

    Args:
        arrays: ``time`` (T,), channels by the names of :data:`.CHANNELS`, (T, k) each, and ``joint_names``.
        source: What they were read from.

    Raises:
        UsageError: There is no ``time``, an array is none of a log, or it is not made of numbers.
    """
    known = {"time", "joint_names", *CHANNELS}
    strangers = [name for name in arrays if name not in known]
    if strangers:
        raise UsageError(f"the log has an array '{strangers[0]}'", source=source, allowed=", ".join(sorted(known)))
    if "time" not in arrays:
        raise UsageError("the log has no time", source=source, allowed="a channel 'time' [s]")
    try:
        numbers = {name: np.asarray(values, dtype=np.float64) for name, values in arrays.items() if name in CHANNELS}
        time = np.asarray(arrays["time"], dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise UsageError("the log has a channel that is not made of numbers", source=source) from None
    channels = {name: values.reshape(len(values), -1) for name, values in numbers.items()}
    names = tuple(str(name) for name in arrays["joint_names"]) if "joint_names" in arrays else ()
    return RobotLog(source=source, time=time, joint_names=names, **channels)


def _read_csv(path: Path) -> RobotLog:
    import csv

    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.reader(stream)
            header = [name.strip() for name in next(rows, [])]
            values = []
            for number, row in enumerate(rows, start=2):
                if len(row) != len(header):
                    raise UsageError(f"line {number} has {len(row)} values instead of {len(header)}", source=str(path))
                values.append([float(cell) if cell.strip() else np.nan for cell in row])
                if len(values) > MAX_ROWS:
                    raise UsageError(f"the log has more than {MAX_ROWS} rows", source=str(path))
    except (ValueError, OSError) as error:
        raise UsageError(f"the log cannot be read: {error}", source=str(path)) from None
    return from_columns(header, np.asarray(values, dtype=np.float64).reshape(len(values), len(header)), str(path))


def from_columns(header: Sequence[str], values: Array, source: str) -> RobotLog:
    """Return a log of named columns: ``time``, ``joint_pos.LF_HAA``, ``base_quat.w``, ``observations.0``...

    Raises:
        UsageError: A column's name says nothing, or a channel lacks one of its columns.
    """
    arrays: dict[str, dict[str, int]] = {}
    for place, name in enumerate(header):
        if name == "time":
            continue
        found = _COLUMN.fullmatch(name)
        channel = next((known for known in sorted(CHANNELS, key=len, reverse=True) if name.startswith(known)), None)
        if found is None or channel is None or len(name) <= len(channel) + 1:
            raise UsageError(
                f"column '{name}' is none of a log",
                source=source,
                allowed="time, " + ", ".join(f"{known}.<joint, axis or number>" for known in CHANNELS),
            )
        arrays.setdefault(channel, {})[name[len(channel) + 1 :]] = place
    if "time" not in header:
        raise UsageError("the log has no time", source=source, allowed="a column 'time' [s]")
    joints = next((tuple(parts) for name, parts in arrays.items() if name.startswith("joint_")), ())
    found_arrays: dict[str, np.ndarray] = {"time": values[:, list(header).index("time")]}
    for name, parts in arrays.items():
        found_arrays[name] = values[:, _places(name, parts, joints, source)]
    if joints and not all(part.isdecimal() for part in joints):
        found_arrays["joint_names"] = np.asarray(joints)
    return from_arrays(found_arrays, source)


def _places(channel: str, parts: Mapping[str, int], joints: Sequence[str], source: str) -> list[int]:
    """Return the columns of a channel in its own order: by number, axis or joint."""
    if all(part.isdecimal() for part in parts):
        return [parts[part] for part in sorted(parts, key=int)]
    if set(parts) <= set(_AXES):
        return [parts[part] for part in sorted(parts, key=_AXES.__getitem__)]
    missing = [name for name in joints if name not in parts]
    if missing:
        raise UsageError(f"channel {channel} has no column for {missing[0]}", source=source)
    return [parts[name] for name in joints]


def _read_parquet(path: Path) -> RobotLog:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise missing_package("this kind of log", error, "logs") from None
    try:
        table = parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise UsageError(f"the log cannot be read: {error}", source=str(path)) from None
    nested = [name for name in table.column_names if pyarrow.types.is_list(table.schema.field(name).type)]
    if not nested:
        values = np.stack([np.asarray(table.column(name), dtype=np.float64) for name in table.column_names], axis=-1)
        return from_columns(table.column_names, values, str(path))
    arrays = {
        name: np.asarray(table.column(name).to_pylist()) if name in nested else np.asarray(table.column(name))
        for name in table.column_names
    }
    return from_arrays(arrays, str(path))


def _read_bag(path: Path) -> RobotLog:
    from .bags import read_bag

    return read_bag(path)


READERS: dict[str, Callable[[Path], RobotLog]] = {
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".mcap": _read_bag,
    ".db3": _read_bag,
}
"""Readers by the file's suffix."""
