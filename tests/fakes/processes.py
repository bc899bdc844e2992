"""What stand-ins that are processes of their own have in common."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import httpx


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path, timeout: float = 240.0) -> None:
    """Wait until something answers at ``url``, whatever it says."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(url):
            return
        time.sleep(0.1)
    raise RuntimeError(f"nothing came up at {url}: {log.read_text()}")


def _answers(url: str) -> bool:
    try:
        httpx.get(url, verify=False, timeout=5, trust_env=False)
    except httpx.TransportError:
        return False
    return True
