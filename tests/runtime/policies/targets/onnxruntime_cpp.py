"""ONNX Runtime for C++: Microsoft's headers out of an npm package, the Python wheel's library."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import onnxruntime
import pytest

PACKAGE = "com.github.asus4.onnxruntime"
VERSION = "0.4.9"
"""Headers of API version 29 (MIT), which every later library serves."""


def onnxruntime_root(folder: Path) -> Path:
    """Make a folder laid out as a release of ONNX Runtime is, with ``include/`` and ``lib/``."""
    for program in ("cmake", "g++", "npm"):
        if not shutil.which(program):
            pytest.skip(f"the C++ node is built with cmake, g++ and headers from npm, and there is no {program} here")
    (folder / "lib").mkdir(parents=True)
    (folder / "include").symlink_to(_headers())
    (library,) = Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.1*")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / "lib" / name).symlink_to(library)
    return folder


def _headers() -> Path:
    """Return the folder of headers, fetched once into the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gaitway-tests"
    folder = cache / f"onnxruntime-headers-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes beside this one wait for the one download
        if not folder.exists():
            _fetch(cache / f".{folder.name}", folder)
    return folder


def _fetch(partial: Path, folder: Path) -> None:
    """Take the headers out of the package; nothing else of its 150 MB is kept."""
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    options = ["--silent", "--cache", str(partial / "npm"), "--pack-destination", str(partial)]
    try:
        subprocess.run(["npm", "pack", *options, f"{PACKAGE}@{VERSION}"], check=True, timeout=300, capture_output=True)
        (archive,) = partial.glob("*.tgz")
        headers = "package/Plugins/iOS~/onnxruntime.xcframework/ios-arm64/onnxruntime.framework/Headers"
        subprocess.run(["tar", "xzf", str(archive), "-C", str(partial), headers], check=True)
        (partial / headers).rename(folder)
    except (subprocess.SubprocessError, ValueError) as error:
        pytest.skip(f"the headers of ONNX Runtime cannot be fetched from npm: {error}")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
