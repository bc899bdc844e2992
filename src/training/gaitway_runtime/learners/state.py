"""Companion of a checkpoint: ``state_<iteration>.npz``, all of a training that the checkpoint itself does not hold.

A checkpoint has weights, normalisers and optimiser. Its companion has the rest: random streams, the state of every
world, what the learner counts, of each process. With both, a training that was killed continues bit for bit. The file
holds arrays and JSON only; nothing in it is ever unpickled.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ..simulators.base import OPTIONAL, StateTree
from ..spec.checkpoint_files import COMPANION, companion_of, old_companions
from ..spec.files import sync_folder
from ..spec.types import JsonObject

if TYPE_CHECKING:
    from .base import LearnerTraining

SCHEMA = 1
"""Version of the layout; raised when a reader of the old one would misread the new one."""

MAX_BYTES = 1 << 30
"""Largest content of a companion that is read [bytes]."""

LIBRARIES = ("torch", "numpy")
"""Distributions whose releases may round differently: named where they are not the same."""

_HEADER = "header"
_VALUES = "values"


class StateUnusable(Exception):
    """A companion that cannot be used; the text says why, as the end of a sentence that begins with its name."""


@dataclass(frozen=True)
class TrainingIdentity:
    """Circumstances that must be the same for a state to fit."""

    task: str
    seed: int
    num_envs: int
    processes: int
    simulator: str
    """Name and release of the simulator."""
    settings: tuple[str, ...] = ()
    """Overrides of the environment, and whether rewards are shaped."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    """Releases of :data:`LIBRARIES`; others are no obstacle."""

    @staticmethod
    def of(training: LearnerTraining) -> TrainingIdentity:
        """Return the identity of a training."""
        job, env, rank = training.job, training.env, training.group.rank
        overrides = sorted(text for text in job.overrides if text.startswith("env."))
        return TrainingIdentity(
            task=env.task,
            seed=job.seed - rank.number,
            num_envs=env.num_envs,
            processes=rank.world,
            simulator=env.contract.simulator,
            settings=(f"shaping={job.shaping}", *overrides),
            libraries={name: importlib.metadata.version(name) for name in LIBRARIES},
        )

    def difference(self, here: TrainingIdentity) -> str | None:
        """Return what differs from this state's identity, as the end of a sentence; None where nothing does."""
        pairs = (
            ("task", self.task, here.task),
            ("seed", self.seed, here.seed),
            ("--num-envs", self.num_envs, here.num_envs),
            ("number of processes", self.processes, here.processes),
            ("simulator", self.simulator, here.simulator),
            ("environment settings", ", ".join(self.settings), ", ".join(here.settings)),
        )
        found = [f"its {name} is {then}, this job's is {now}" for name, then, now in pairs if then != now]
        return "; ".join(found) or None


@dataclass(frozen=True, eq=False)
class TrainingState:
    """An opened companion."""

    path: Path
    iteration: int
    """The last iteration that was done, counted from zero."""
    checkpoint_sha256: str
    """SHA-256 of the checkpoint that it belongs to."""
    identity: TrainingIdentity
    ranks: tuple[StateTree, ...]
    """State of each process."""

    def check(self, here: TrainingIdentity, checkpoint_sha256: str) -> None:
        """Check that the state belongs to a checkpoint and to this job.

        Raises:
            StateUnusable: It does not.
        """
        if self.checkpoint_sha256 != checkpoint_sha256:
            raise StateUnusable("it belongs to another checkpoint (their SHA-256 differ)")
        difference = self.identity.difference(here)
        if difference:
            raise StateUnusable(difference)

    def other_libraries(self, here: TrainingIdentity) -> str:
        """Return which libraries have another release now; empty where none has."""
        known = self.identity.libraries
        return ", ".join(
            f"{name} {known[name]} then, {now} now"
            for name, now in here.libraries.items()
            if name in known and known[name] != now
        )


def write_state(
    folder: Path, iteration: int, identity: TrainingIdentity, checkpoint_sha256: str, ranks: Sequence[bytes]
) -> Path:
    """Write a companion, which appears whole or not at all, and return its path.

    Args:
        folder: Folder of the checkpoints.
        iteration: The last iteration that was done.
        identity: TrainingIdentity of the training.
        checkpoint_sha256: SHA-256 of the checkpoint that it belongs to.
        ranks: Packed state of each process, from :func:`pack`.

    Raises:
        OSError: The disk did not take it.
    """
    header = {
        "schema": SCHEMA,
        "iteration": iteration,
        "checkpoint_sha256": checkpoint_sha256,
        "identity": {**vars(identity), "settings": list(identity.settings)},
        "ranks": len(ranks),
    }
    path = folder / COMPANION.format(iteration)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as stream:
            with zipfile.ZipFile(stream, "w") as archive:
                _write_array(archive, _HEADER, _json_array(header))
                for number, packed in enumerate(ranks):
                    _copy_entries(packed, archive, f"{number}/")
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
        sync_folder(folder)
    finally:
        partial.unlink(missing_ok=True)
    return path


def rotate(folder: Path) -> None:
    """Remove the companions in a folder that newer ones have replaced."""
    for name in old_companions(path.name for path in folder.iterdir()):
        (folder / name).unlink(missing_ok=True)


def open_state(path: Path) -> TrainingState:
    """Open a companion.

    Raises:
        StateUnusable: It is damaged, of another layout, or no companion.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise StateUnusable(f"it is larger than {MAX_BYTES >> 20} MiB")
            arrays = {name.removesuffix(".npy"): _read_array(archive, name) for name in archive.namelist()}
        header: JsonObject = json.loads(arrays.pop(_HEADER).tobytes())
        if header.get("schema") != SCHEMA:
            raise StateUnusable(f"its layout is version {header.get('schema')}, this gaitway reads {SCHEMA}")
        identity = cast("dict[str, Any]", header["identity"])
        return TrainingState(
            path=path,
            iteration=int(cast(int, header["iteration"])),
            checkpoint_sha256=str(header["checkpoint_sha256"]),
            identity=TrainingIdentity(**{**identity, "settings": tuple(identity["settings"])}),
            ranks=tuple(_tree_of(arrays, f"{number}/") for number in range(int(cast(int, header["ranks"])))),
        )
    except _UNREADABLE as error:
        raise StateUnusable(f"it is damaged ({type(error).__name__}: {error})") from None


_UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, RuntimeError, OverflowError, MemoryError),
    *(SyntaxError, zlib.error, struct.error, zipfile.BadZipFile),
)
"""Everything that reading a damaged archive, array or document raises."""


def companion_beside(checkpoint: Path) -> Path | None:
    """Return the companion that lies beside a checkpoint; None where there is none."""
    name = companion_of(checkpoint.name)
    if name is None:
        return None
    folders = (
        (checkpoint.parent, checkpoint.parent.parent) if checkpoint.parent.name == "final" else (checkpoint.parent,)
    )
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def pack(tree: StateTree) -> bytes:
    """Return a state tree as the bytes of an ``.npz`` file."""
    arrays: dict[str, NDArray[Any]] = {}
    values = _split(tree, "", arrays)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        _write_array(archive, _VALUES, _json_array(values))
        for name, array in arrays.items():
            _write_array(archive, name, array)
    return stream.getvalue()


def check_fits(saved: StateTree, fresh: StateTree, where: str = "") -> None:
    """Check that a saved state has the parts of a fresh one, with the same shapes and types.

    An array that is empty in either has no shape yet; what lies below ``optional`` may be missing.

    Raises:
        StateUnusable: It does not.
    """
    if where.endswith(f"{OPTIONAL}/"):
        saved, fresh = ({name: tree[name] for name in saved.keys() & fresh.keys()} for tree in (saved, fresh))
    if saved.keys() != fresh.keys():
        odd = ", ".join(sorted(saved.keys() ^ fresh.keys()))
        raise StateUnusable(f"it does not have the parts of this training ({where}{odd})")
    for name, now in fresh.items():
        then, place = saved[name], f"{where}{name}"
        if isinstance(now, Mapping) and isinstance(then, Mapping):
            check_fits(then, now, f"{place}/")
        elif isinstance(now, np.ndarray) and isinstance(then, np.ndarray):
            sized = now.size and then.size
            if sized and (now.shape, now.dtype) != (then.shape, then.dtype):
                raise StateUnusable(f"{place} has shape {then.shape}, here it has {now.shape}")
        elif isinstance(now, (Mapping, np.ndarray)) or isinstance(then, (Mapping, np.ndarray)):
            raise StateUnusable(f"{place} is of another kind")


def random_state() -> StateTree:
    """Return the state of every global random generator: Python's, NumPy's, torch's on each device."""
    version, words, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "python": {"version": version, "words": np.array(words, np.uint64), "gauss": gauss},
        "numpy": {
            "keys": np.array(keys),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "cached": float(cached),
        },
        "torch": torch.get_rng_state().numpy(),
        "cuda": {str(number): state.numpy() for number, state in enumerate(cuda)},
    }


def set_random_state(state: StateTree) -> None:
    """Set every global random generator."""
    python, legacy = subtree(state, "python"), subtree(state, "numpy")
    words = tuple(int(word) for word in array_of(python, "words"))
    random.setstate((cast(int, python["version"]), words, cast("float | None", python["gauss"])))
    np.random.set_state(
        ("MT19937", array_of(legacy, "keys"), legacy["position"], legacy["has_gauss"], legacy["cached"])  # type: ignore[arg-type]
    )
    torch.set_rng_state(torch.from_numpy(array_of(state, "torch").copy()))
    for number, generator in subtree(state, "cuda").items():
        torch.cuda.set_rng_state(torch.from_numpy(np.array(generator)), int(number))


def subtree(state: StateTree, name: str) -> StateTree:
    """Return a part of a state that is a tree itself."""
    return cast(StateTree, state[name])


def array_of(state: StateTree, name: str) -> NDArray[Any]:
    """Return a part of a state that is an array."""
    return cast("NDArray[Any]", state[name])


def _split(tree: StateTree, where: str, arrays: dict[str, NDArray[Any]]) -> dict[str, object]:
    """Return the plain values of a tree, nested as it is; its arrays go into ``arrays`` by their path."""
    values: dict[str, object] = {}
    for name, value in tree.items():
        if isinstance(value, np.ndarray):
            arrays[f"{where}{name}"] = value
        elif isinstance(value, Mapping):
            values[name] = _split(value, f"{where}{name}/", arrays)
        else:
            values[name] = value
    return values


def _tree_of(arrays: Mapping[str, NDArray[Any]], prefix: str) -> StateTree:
    tree: dict[str, Any] = json.loads(arrays[f"{prefix}{_VALUES}"].tobytes())
    for path, array in _below(arrays, prefix):
        *folders, name = path.split("/")
        node = tree
        for folder in folders:
            node = node[folder]
        node[name] = array
    return tree


def _below(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, array in arrays.items():
        path = name.removeprefix(prefix)
        if name.startswith(prefix) and path != _VALUES:
            yield path, array


def _copy_entries(packed: bytes, archive: zipfile.ZipFile, prefix: str) -> None:
    with zipfile.ZipFile(io.BytesIO(packed)) as part:
        for name in part.namelist():
            archive.writestr(zipfile.ZipInfo(prefix + name), part.read(name))


def _json_array(document: Mapping[str, object]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(document).encode(), np.uint8)


def _write_array(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    # A fixed time: the same state gives the same bytes.
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as entry:
        np.lib.format.write_array(entry, array, allow_pickle=False)


def _read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(name) as entry:
        array: NDArray[Any] = np.lib.format.read_array(entry, allow_pickle=False)
        if entry.read(1):  # reading to the end is what checks the CRC
            raise ValueError(f"{name} is longer than its array")
    return array
