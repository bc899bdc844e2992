"""Opening a checkpoint file that came from somewhere else.

A checkpoint is a pickle, and a pickle can be a program. Files are opened with ``weights_only=True`` alone, which
admits tensors and plain values and nothing that runs; whatever asks for more is refused, unread.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import UsageError


def load_checkpoint(path: Path) -> Mapping[str, Any]:
    """Open a checkpoint file.

    Returns:
        Its top-level mapping, tensors on the CPU.

    Raises:
        UsageError: The file is not there, is something else than a checkpoint, or asks to run code.
    """
    _refuse_other_files(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _not_plain(path, str(error)) from None
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError, IndexError, OSError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:160]
        raise UsageError(f"the file is not a readable checkpoint: {reason}", source=str(path)) from None
    if not isinstance(content, Mapping):
        raise UsageError(
            f"the file holds a {type(content).__name__}, not a checkpoint's dictionary",
            source=str(path),
            allowed="checkpoints of rsl_rl and skrl",
        )
    return content


def _refuse_other_files(path: Path) -> None:
    """Name the kinds of file that people take for a checkpoint."""
    if path.is_dir():
        raise UsageError("the checkpoint is a folder", source=str(path), hint="name a file in it, such as model_100.pt")
    if not path.is_file():
        raise UsageError("there is no such checkpoint file", source=str(path))
    if path.suffix == ".onnx":
        raise UsageError(
            "an ONNX file is an exported policy, not a checkpoint", source=str(path), hint="name the model_<n>.pt file"
        )
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.split("/", 1)[-1] for name in archive.namelist()}
    except zipfile.BadZipFile:
        raise UsageError("the file is not a readable checkpoint: its archive is damaged", source=str(path)) from None
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise UsageError(
            "a TorchScript archive is an exported policy (a program), not a checkpoint",
            source=str(path),
            hint="name the model_<n>.pt file that it was exported from",
        )
    if "data.pkl" not in names:
        raise UsageError("the file is a zip archive, but not one that torch.save wrote", source=str(path))


def _not_plain(path: Path, message: str) -> UsageError:
    """Tell what the file asked for; torch's own advice (to switch the protection off) is left out."""
    asked = re.search(r"GLOBAL ([\w.]+)", message)
    what = f"it asks for {asked.group(1)}" if asked else "it is no plain pickle"
    return UsageError(
        f"the checkpoint is refused: it is more than tensors and plain values ({what}), and opening it could run code",
        source=str(path),
        allowed="what torch.load(weights_only=True) admits",
        hint="save it again as torch.save({name: tensors and plain values}) where it was made",
    )
