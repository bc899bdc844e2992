"""Maker of this folder's files from the npm package: ``python src/gaitway/play/vendor/make.py`` (needs npm)."""

from __future__ import annotations

import base64
import gzip
import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "@mujoco/mujoco@3.14.0"
INTEGRITY = "WPUYidu4Fx8+uM4hQv80SOA0ifpWGrsNJguKs8JBV8SCTxjKQ2/rqsh880nUH0/Vwa8vuefghvCQkkoed3bkUg=="
"""SHA-512 of the archive, as the registry gives it."""
HERE = Path(__file__).parent
HEADER = 8
"""Bytes before a module's first section: magic number and version."""


def main() -> None:
    """Fetch the package, check its hash, and write both files.

    Raises:
        SystemExit: The archive is not the one that is expected.
    """
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", PACKAGE], cwd=folder, check=True, capture_output=True)
        (archive,) = Path(folder).glob("*.tgz")
        if base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() != INTEGRITY:
            raise SystemExit(f"{PACKAGE} has another hash than {INTEGRITY}")
        with tarfile.open(archive) as opened:
            (HERE / "mujoco.js").write_bytes(_member(opened, "package/mujoco.js"))
            stripped = without_custom_sections(_member(opened, "package/mujoco.wasm"))
    (HERE / "mujoco.wasm.gz").write_bytes(gzip.compress(stripped, 9, mtime=0))


def without_custom_sections(module: bytes) -> bytes:
    """Return a WebAssembly module without its custom sections (id 0): names, source maps, debugging."""
    kept, at = bytearray(module[:HEADER]), HEADER
    while at < len(module):
        size, body = _unsigned(module, at + 1)
        if module[at] != 0:
            kept += module[at : body + size]
        at = body + size
    return bytes(kept)


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    """Return a LEB128 number and the position behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream
    return stream.read()


if __name__ == "__main__":
    main()
