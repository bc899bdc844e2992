"""Checkpoint files of unknown origin, opened safely.

A checkpoint is a pickle, and a pickle can run code. Files are opened with ``weights_only=True`` only, which admits
tensors and plain values; numpy's numbers and small classes of Python's own are admitted through
stand-ins that run nothing. A file that asks for more is
refused without being loaded.
"""

from __future__ import annotations

import functools
import io
import json
import logging
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ..spec.checkpoint_files import SAFETENSORS_SUFFIX, members_of
from ..spec.errors import UsageError
from ..spec.registry import ForeignError, call_foreign
from . import plain_numpy, plain_python, vecnormalize
from .foreign_files import LISTED, SB3_POLICY, check_kind, refuse_foreign_folder
from .plain_python import PlainSetting
from .safetensors_file import read_safetensors

SB3_DATA, SB3_STATISTICS = "stable_baselines3", "vecnormalize.pkl"
"""Entries of an opened Stable-Baselines3 archive beside its state dict: settings, path of the statistics beside it."""

_SB3_DATA_LIMIT, _SB3_POLICY_LIMIT = 64 * 2**20, 4 * 2**30
"""Largest members of a Stable-Baselines3 archive that are read [bytes]."""

_REPEATED_LIMIT = 64 * 2**20
"""Largest tensor that may repeat fewer numbers than it has [bytes]: some libraries save a value expanded."""

_MOST_VALUES = 10_000_000
"""Most values of a checkpoint beside the numbers of its tensors."""

_SAFE_SINCE = (2, 10)
"""First release of torch without CVE-2026-24747: a checkpoint made for it can run code in spite of ``weights_only``."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """An opened checkpoint file, to be handed on instead of read again."""

    path: Path
    entries: Mapping[str, object]
    """Top level of the file, tensors on the CPU."""
    config_folders: tuple[Path, ...]
    """Folders that may hold the training configuration, in the order in which they are searched."""


def open_checkpoint(path: Path, config_folders: Sequence[Path] | None = None) -> Checkpoint:
    """Open a checkpoint file.

    Args:
        path: The file.
        config_folders: Folders to search for the training configuration. None for a file where its owner keeps
            it: the folders beside it are searched. A fetched file comes with those of its own run, which may be none.

    Raises:
        UsageError: The file does not exist, is not a checkpoint, or asks to run code.
    """
    folders = folders_beside(path) if config_folders is None else tuple(config_folders)
    if _check_kind(path):
        statistics = vecnormalize.beside(path) if config_folders is None else None
        return Checkpoint(path, {**_open_stable_baselines3(path), SB3_STATISTICS: statistics}, folders)
    content = _safetensors(path) if path.suffix == SAFETENSORS_SUFFIX else _load(path, path)
    if not isinstance(content, Mapping):
        raise UsageError(
            f"the file holds a {type(content).__name__}, not a checkpoint's dictionary",
            source=str(path),
            allowed=LISTED,
            hint="save one of its parts alone where it was made: torch.save({name: tensor}, 'model.pt')",
        )
    _check_extent(content, path)
    content = _plain_mappings(content)
    _check_sizes(content, path)
    return Checkpoint(path, content, folders)


def _plain_mappings(content: Mapping[Any, object]) -> dict[Any, object]:
    """Return entries with every mapping a dictionary: a TensorDict is one that answers as a tensor does."""
    found = {key: value.plain() if isinstance(value, PlainSetting) else value for key, value in content.items()}
    return {
        key: _plain_mappings(value) if isinstance(value, Mapping) and type(value) not in (dict, OrderedDict) else value
        for key, value in found.items()
    }


def _check_extent(content: Mapping[Any, object], path: Path) -> None:
    """Refuse entries that hold themselves, or that grow without end by naming one list many times.

    Raises:
        UsageError: They do.
    """
    try:
        if _extent(content, set(), {}) <= _MOST_VALUES:
            return
        reason = f"it has more than {_MOST_VALUES:,} values"
    except RecursionError:
        reason = "its values are nested too deep"
    except ValueError as error:
        reason = str(error)
    raise UsageError(f"the file is not a readable checkpoint: {reason}", source=str(path))


def _extent(value: object, around: set[int], known: dict[int, int]) -> int:
    """Return how many values a walk through a value meets, those that it meets again counted again.

    Args:
        value: The value.
        around: What it lies in, by identity.
        known: The extent of what was walked through, by identity.
    """
    inside = value.content if isinstance(value, PlainSetting) else value
    if not isinstance(inside, Mapping | list | tuple):
        return 1
    if id(inside) in around:
        raise ValueError("it holds something that holds itself")
    if id(inside) not in known:
        around.add(id(inside))
        each = inside.values() if isinstance(inside, Mapping) else inside
        known[id(inside)] = 1 + sum(_extent(item, around, known) for item in each)
        around.remove(id(inside))
    return known[id(inside)]


def _check_sizes(content: Mapping[str, object], path: Path) -> None:
    """Refuse tensors that claim to be larger than what the file holds of them: the first copy would take all memory.

    Raises:
        UsageError: There is one.
    """
    rest: list[tuple[str, object]] = list(content.items())
    seen: set[int] = set()
    while rest:
        name, value = rest.pop()
        if isinstance(value, Mapping) and id(value) not in seen:
            seen.add(id(value))
            rest.extend((f"{name}.{key}", item) for key, item in value.items())
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
            continue
        claimed = value.numel() * value.element_size()
        if claimed > _REPEATED_LIMIT and claimed > value.untyped_storage().nbytes():
            raise UsageError(
                f"the file is not a readable checkpoint: '{name}' claims {claimed >> 20} MiB, of which the file holds "
                f"{value.untyped_storage().nbytes()} bytes",
                source=str(path),
            )


def folders_beside(path: Path) -> tuple[Path, ...]:
    """Return where a checkpoint's owner keeps its training configuration: beside it, or one level up.

    One level up counts only where the file lies in a run's folder of checkpoints: what stands beside any other folder
    may be of anybody.
    """
    found: list[Path] = []
    for beside in dict.fromkeys((path.absolute().parent, path.resolve().parent)):
        run = beside.parent if beside.name == "final" else beside
        found += [beside / "params", *([run.parent / "params"] if run.name in ("checkpoints", "nn") else []), beside]
    return tuple(found)


@functools.cache
def _warn_of_old_torch(version: str) -> None:
    """Say, once, that this torch is not safe with checkpoints of strangers; a container may come with no other."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < _SAFE_SINCE:
        _log.warning(
            "torch %s reads checkpoints with a known hole (CVE-2026-24747, mended in torch %d.%d): one that was made "
            "for it can run code, so open none of unknown origin here",
            version,
            *_SAFE_SINCE,
        )


def _load(path: Path, file: Path | BinaryIO) -> object:
    _warn_of_old_torch(str(torch.__version__))
    try:
        with torch.serialization.safe_globals([*plain_numpy.stand_ins(), *plain_python.stand_ins()]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _not_plain(path, str(error)) from None
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError, IndexError, OSError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:160]
        raise UsageError(f"the file is not a readable checkpoint: {reason}", source=str(path)) from None


def _safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file, which torch itself reads in some releases and installations alone."""
    try:
        return {name: torch.from_numpy(values.copy()) for name, values in read_safetensors(path).items()}
    except (OSError, RecursionError, TypeError, ValueError) as error:
        raise UsageError(f"the file is not a readable checkpoint: {error}", source=str(path)) from None


def _check_kind(path: Path) -> bool:
    """Refuse what is no file, or no checkpoint by its kind; return whether it is an SB3 archive."""
    if path.is_dir():
        refuse_foreign_folder(path)
    if not path.is_file():
        raise UsageError("there is no such checkpoint file", source=str(path))
    return check_kind(path)


def _open_stable_baselines3(path: Path) -> Mapping[str, object]:
    """Return settings and policy of a Stable-Baselines3 archive; the pickles inside its settings are not opened."""
    sizes = {member.filename: member.file_size for member in members_of(path) or ()}
    for name, limit in (("data", _SB3_DATA_LIMIT), (SB3_POLICY, _SB3_POLICY_LIMIT)):
        if sizes[name] > limit:
            raise UsageError(f"'{name}' in the archive is too large to be a policy's", source=str(path))

    def read() -> tuple[object, bytes]:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("data")), archive.read(SB3_POLICY)

    try:
        settings, weights = call_foreign(read)  # each kind of compression raises errors of its own
    except ForeignError as error:
        reason = " ".join(str(error.cause).split())[:160]
        raise UsageError(f"the archive is not a readable Stable-Baselines3 model: {reason}", source=str(path)) from None
    policy = _load(path, io.BytesIO(weights))
    return {SB3_DATA: settings if isinstance(settings, dict) else {}, SB3_POLICY: policy}


def _not_plain(path: Path, message: str) -> UsageError:
    """Return the error for a file that is more than numbers, without torch's advice to switch the protection off."""
    asked = re.search(r"GLOBAL ([\w.]+)", message)
    name = asked.group(1) if asked else ""
    if name.startswith("torch.nn."):
        return UsageError(
            f"the file is a whole pickled module ({name}), which cannot be opened without running its code",
            source=str(path),
            hint="save its weights where it was made, torch.save(module.state_dict(), 'model.pt'), and describe the "
            "network in a network.yaml beside it",
        )
    what = f"it asks for {name}" if name else "it is no plain pickle"
    return UsageError(
        f"the checkpoint is refused: it is more than tensors and plain values ({what}), and opening it could run code",
        source=str(path),
        allowed="what torch.load(weights_only=True) admits, and numpy numbers",
        hint="save it again as torch.save({name: tensors and plain values}) where it was made",
    )
