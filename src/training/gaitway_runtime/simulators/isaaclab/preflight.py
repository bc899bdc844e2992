"""Preflight checks of the machine, done within seconds before Isaac Lab is started. Standard library only.

Each of these fails late and in strange words otherwise: a licence that was not accepted asks a question that nobody
answers, a missing GPU crashes in a driver, an asset server that is out of reach is tried for more than a minute.
"""

from __future__ import annotations

import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...spec.errors import ConfigError, PlatformError

if TYPE_CHECKING:
    from .detect import Installation

GPU_FILES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""Either is there where a program can use an NVIDIA GPU: on Linux, and on Windows' Linux."""

ACCEPTS = ("OMNI_KIT_ACCEPT_EULA", "ACCEPT_EULA")
"""Variables that accept NVIDIA's licence: Isaac Sim's Python packages read the first, its containers the second."""

LEAST_FREE_MIB = 1024
"""Free disk that Isaac Lab needs beside what it has: caches of kernels and shaders, logs, checkpoints [MiB]."""

ASSET_TIMEOUT_S = 8.0
"""Time that an asset server gets to answer [s]."""

_ASSET = re.compile(r"\.(usd[acz]?|urdf|xml|hdr|exr|pt)$", re.IGNORECASE)


def check_machine(installation: Installation, environ: Mapping[str, str] = os.environ) -> None:
    """Make sure that the simulator can start here.

    Raises:
        ConfigError: It cannot: no GPU, no accepted licence, no disk.
    """
    free = shutil.disk_usage(Path.cwd()).free >> 20
    if free < LEAST_FREE_MIB:
        raise ConfigError(
            f"the disk is nearly full: {free} MiB are free",
            source=str(Path.cwd()),
            allowed=f"{LEAST_FREE_MIB} MiB or more",
            hint="more storage for the job (--storage), or a cleaner disk",
        )
    if installation.kit:
        _check_licence(environ)
    if installation.generation == 2 and not any(path.exists() for path in GPU_FILES):
        raise ConfigError(
            f"Isaac Lab {installation.release or 2} needs an NVIDIA GPU, and there is none here",
            source=str(GPU_FILES[0]),
            hint="--num-gpus 1 on a cluster; on this machine --simulator mujoco",
        )


def check_assets(config: Any) -> None:
    """Make sure that the files which a configuration names can be had, from a folder or a server.

    Args:
        config: The environment's configuration as nested mappings, sequences and objects.

    Raises:
        ConfigError: A file is not there.
        PlatformError: A server is out of reach.
    """
    for address in sorted({name for name in _strings(config, set()) if _ASSET.search(name)}):
        if re.match(r"https?://", address):
            _check_url(address)
        elif address.startswith("/") and not Path(address).is_file():
            raise ConfigError(f"an asset that the task needs is not there: {address}", hint=_ROOT_HINT)


_ROOT_HINT = "ISAACSIM_ASSET_ROOT names the folder or server that Isaac Lab takes assets from"


def _check_licence(environ: Mapping[str, str]) -> None:
    """Make sure that somebody has accepted the licence; one variable then stands for both."""
    if not any(environ.get(name, "").upper() in ("Y", "YES", "1") for name in ACCEPTS):
        raise ConfigError(
            "NVIDIA's licence of Isaac Sim is not accepted, and a job cannot be asked",
            source=f"env {', '.join(ACCEPTS)}",
            allowed="Y, YES or 1",
            hint="read it (https://docs.omniverse.nvidia.com/eula), then export OMNI_KIT_ACCEPT_EULA=YES",
        )
    for name in ACCEPTS:
        os.environ.setdefault(name, "YES")


def _check_url(address: str) -> None:
    request = urllib.request.Request(address, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=ASSET_TIMEOUT_S).close()
    except urllib.error.HTTPError as refused:
        if refused.code in (404, 410):
            raise ConfigError(
                f"an asset that the task needs is not on its server: {address}", hint=_ROOT_HINT
            ) from None
        # Some servers refuse to be asked for a head alone: they can be reached.
    except (urllib.error.URLError, OSError) as away:
        reason = getattr(away, "reason", away)
        raise PlatformError(
            f"an asset that the task needs is out of reach: {address} ({reason})",
            hint=f"{_ROOT_HINT}; behind a proxy: HTTPS_PROXY",
        ) from None


def _strings(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield every text in a configuration but for what only a viewer loads."""
    if isinstance(value, str):
        yield value
        return
    if id(value) in seen or isinstance(value, (int, float, bool, type(None), type)) or callable(value):
        return
    seen.add(id(value))
    if isinstance(value, (list, tuple)):
        parts = list(value)
    else:
        named = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
        parts = [part for name, part in named.items() if "visualizer" not in str(name)]
    for part in parts:
        yield from _strings(part, seen)
