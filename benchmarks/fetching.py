"""``python benchmarks/fetching.py``: what fetching a checkpoint costs beside a plain download of the same blob.

The blob lies in Azurite on this machine, over TLS. Both ways are taken by turns in this one run; fetching also hashes,
bounds, syncs and renames what the plain download only writes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from gaitway_runtime.fetch import fetch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fakes import azurite, proxy

LEAST = 0.70
"""Least ratio of fetching to a plain download."""


def main() -> int:
    """Measure and print; return 1 where the ratio is below :data:`LEAST`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    size = options.megabytes * 2**20
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(azurite.running(folder))
        line = stack.enter_context(proxy.running({azurite.HOST: server.port}))
        os.environ |= {"HTTPS_PROXY": line.url, "SSL_CERT_FILE": str(server.authority)}
        url = f"{server.put('bench/model_1.pt', os.urandom(size))}?{server.sas('r')}"
        plain, fetched = [], []
        for _ in range(options.rounds):
            plain.append(_rate(size, lambda: _download(url, folder / "plain.pt")))
            fetched.append(_rate(size, lambda: fetch(url, folder)))
    ratio = statistics.median(fetched) / statistics.median(plain)
    print(f"plain httpx stream  {statistics.median(plain):6.0f} MiB/s")
    print(f"fetch               {statistics.median(fetched):6.0f} MiB/s")
    print(f"ratio               {ratio:6.2f}  (medians of {options.rounds} rounds of {options.megabytes} MiB)")
    return 1 if ratio < LEAST else 0


def _download(url: str, target: Path) -> None:
    trust = ssl.create_default_context()
    with target.open("wb") as file, httpx.stream("GET", url, verify=trust) as response:
        for chunk in response.iter_raw():
            file.write(chunk)


def _rate(size: int, action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return size / 2**20 / (time.perf_counter() - start)


if __name__ == "__main__":
    raise SystemExit(main())
