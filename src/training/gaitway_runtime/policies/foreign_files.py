"""Files that people take for a checkpoint and that are none, told by their first bytes, with what to do."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..spec.checkpoint_files import SAFETENSORS_SUFFIX, members_of
from ..spec.errors import UsageError

LISTED = "checkpoints of rsl_rl, skrl, rl_games and Stable-Baselines3, or a state dict with a network.yaml"
"""What is a checkpoint."""

SB3_POLICY = "policy.pth"
"""Member of a Stable-Baselines3 archive with the weights."""

_AGAIN = "fetch it again, or name another"
_AS_ONNX = (
    "export the policy to ONNX where it was made, which gaitway exam reads; or save its weights there with "
    "torch.save({name: tensor}) (kernels of JAX transposed) and describe the network in a network.yaml"
)
_AS_PROGRAM = "export it to ONNX (torch.onnx.export) or TorchScript where it was made, which gaitway exam reads"
_EXPORTED = "name the model_<n>.pt file that it was exported from; gaitway exam judges the file as it is"
_UNPACK = "unpack it, and name the file inside"

_STARTS: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    ((b"version https://git-lfs",), "a Git LFS pointer, not the checkpoint that it stands for", "git lfs pull"),
    ((b"<!doctype", b"<html"), "a web page, not a checkpoint", "download the file itself, not the page that shows it"),
    ((b"\x1f\x8b", b"bzh", b"\xfd7zxz", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"rar!"), "compressed", _UNPACK),
    ((b"\x89hdf",), "an HDF5 file, as Keras keeps its weights", _AS_ONNX),
)
"""First bytes, in lower case; what such a file is; what to do."""

_TORCH_MAGIC = b"l\xfc\x9cF\xf9 j\xa8P\x19"
"""Number with which a file begins that torch wrote until 1.5, or without its archive."""

_JAX_FOLDER = frozenset(["_METADATA", "_CHECKPOINT_METADATA", "manifest.ocdbt", "ocdbt.process_0"])
"""Names in a folder that Orbax wrote."""


def check_kind(path: Path) -> bool:
    """Refuse, by name, the kinds of file that people take for a checkpoint; return whether it is an SB3 archive.

    A plan asks this of a file of this machine before a job is made for it, and the job when it opens the file.

    Raises:
        UsageError: It is an exported policy, or what neither torch nor Stable-Baselines3 nor safetensors wrote.
    """
    refuse_exported_policy(path)
    listed = members_of(path)
    if listed is None:
        refuse_foreign_file(path)
        return False
    members = [member.filename for member in listed]
    if {"data", SB3_POLICY} <= set(members):
        return True
    names = {name.split("/", 1)[-1] for name in members}
    if "data.pkl" not in names:
        refuse_foreign_archive(path, members)
        raise UsageError(
            "the file is a zip archive, but neither torch.save nor Stable-Baselines3 wrote it",
            source=str(path),
            allowed=LISTED,
        )
    return False


def refuse_exported_policy(path: Path) -> None:
    """Refuse what a checkpoint was exported to.

    Raises:
        UsageError: It is an ONNX file or a TorchScript archive, or an archive whose list cannot be read.
    """
    if path.suffix == ".onnx":
        raise UsageError("an ONNX file is an exported policy, not a checkpoint", source=str(path), hint=_EXPORTED)
    names = {member.filename.split("/", 1)[-1] for member in members_of(path) or ()}
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        what = "a TorchScript archive is an exported policy (a program), not a checkpoint"
        raise UsageError(what, source=str(path), hint=_EXPORTED)


def refuse_foreign_file(path: Path) -> None:
    """Refuse a file that is no archive and that another library wrote, or nobody, by what it is.

    Raises:
        UsageError: It is such a file.
    """
    found = _kind(_head(path), path)
    if found is not None:
        what, hint = found
        raise UsageError(f"the file is {what}", source=str(path), hint=hint)


def refuse_foreign_folder(path: Path) -> None:
    """Refuse a folder, and say whose it is where its contents tell.

    Raises:
        UsageError: Always.
    """
    if _JAX_FOLDER & {entry.name for entry in path.iterdir()}:
        raise UsageError("the checkpoint is a folder of JAX's Orbax", source=str(path), hint=_AS_ONNX)
    weights = sorted(entry.name for entry in path.iterdir() if entry.suffix == SAFETENSORS_SUFFIX)
    if weights:
        raise UsageError(
            "the checkpoint is a folder with weights in safetensors, as LeRobot and model hubs keep them",
            source=str(path),
            hint=f"name {weights[0]} in it, with a network.yaml beside it (docs/checkpoints.md); a policy that is no "
            "chain of layers can be exported to ONNX where it was made, which gaitway exam reads",
        )
    raise UsageError("the checkpoint is a folder", source=str(path), hint="name a file in it, such as model_100.pt")


def refuse_foreign_archive(path: Path, names: Collection[str]) -> None:
    """Refuse a zip archive that neither torch nor Stable-Baselines3 wrote, by what it holds.

    Raises:
        UsageError: It is a program, or holds a checkpoint or numpy's arrays.
    """
    if any(name.endswith("/archive_format") for name in names):
        raise UsageError("the file is a program of torch.export, not a checkpoint", source=str(path), hint=_AS_PROGRAM)
    inside = next((name for name in sorted(names) if name.endswith((".pt", ".pth"))), None)
    if inside is not None:
        raise UsageError(f"the file is an archive that holds {inside}", source=str(path), hint=_UNPACK)
    if names and all(name.endswith(".npy") for name in names):
        raise UsageError("the file is an archive of numpy arrays", source=str(path), hint=_AS_ONNX)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)


def _kind_by_start(head: bytes) -> tuple[str, str] | None:
    low = head.lstrip().lower()
    for starts, what, hint in _STARTS:
        if low.startswith(starts) or head.lower().startswith(starts):
            return what, hint
    return None


def _kind(head: bytes, path: Path) -> tuple[str, str] | None:
    """Return what a file is and what to do; None for one that torch may have written."""
    if not head:
        return "empty", _AGAIN
    by_start = _kind_by_start(head)
    if by_start is not None:
        return by_start
    if head[257:262] == b"ustar" and path.suffix == ".tar":
        return "a tar archive", _UNPACK
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model", _AS_ONNX
    if path.suffix == ".msgpack":
        return "a msgpack file, as Flax keeps its parameters", _AS_ONNX
    if head[:1] == b"\x80" and _TORCH_MAGIC not in head[:40]:
        what = "a pickle that torch did not write, as JAX, Brax and Flax keep their parameters"
        return f"{what}; it is refused, as opening it could run code", _AS_ONNX
    if _is_text(head):
        return "a text, not a checkpoint", "name the model_<n>.pt file"
    if head.startswith(b"PK"):
        return "damaged: an archive whose end is missing", _AGAIN
    if path.suffix == SAFETENSORS_SUFFIX:
        is_cut = 8 + int.from_bytes(head[:8], "little") > path.stat().st_size
        return ("damaged: it is shorter than it says", _AGAIN) if is_cut else None
    if _TORCH_MAGIC not in head[:40] and head[257:262] != b"ustar":
        return "no checkpoint: neither torch nor safetensors wrote it", "name the model_<n>.pt file"
    return None


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # the last letter may be cut in two
            return False
        text = head[: error.start].decode("utf-8")
    return all(letter.isprintable() or letter.isspace() for letter in text)
