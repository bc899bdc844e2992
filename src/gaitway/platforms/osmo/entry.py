"""Entry script of an OSMO task: lays out the payload, then starts the runtime in it.

Mounted into the container as a file and run by whatever Python there is (3.10 or later), before anything of gaitway
exists there. Standard library only. What it needs to know is in the environment:

- ``PAYLOAD``: the archive, or a folder in which it or the files themselves lie;
- ``PAYLOAD_ROOT``: folder to unpack an archive to;
- ``PAYLOAD_COPY``: path that gets a copy of the archive, for later tasks of the same workflow;
- ``PAYLOAD_LINK``: path under which the files are to be found as well (``/data/<dataset>/training``).
"""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path

RUNTIME = "gaitway_runtime"


def main() -> None:
    """Lay out the payload and become the runtime."""
    payload = Path(os.environ["PAYLOAD"])
    if os.environ.get("PAYLOAD_COPY"):
        shutil.copyfile(payload, os.environ["PAYLOAD_COPY"])
    root = lay_out(payload, Path(os.environ["PAYLOAD_ROOT"]))
    link = os.environ.get("PAYLOAD_LINK", "")
    if link:
        root = linked(Path(link), root)
    if not (root / RUNTIME / "__init__.py").is_file():
        sys.exit(f"entry: there is no {RUNTIME} in the payload at {root}")
    print(f"entry: the payload lies in {root}", flush=True)
    os.chdir(root)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    os.execv(sys.executable, [sys.executable, "-m", f"{RUNTIME}.container"])


def lay_out(payload: Path, root: Path) -> Path:
    """Return the folder with the payload's files, unpacked if need be."""
    if payload.is_dir():
        # OSMO puts a dataset below its name and that of the folder, an upload below the folder's name alone.
        for depth in ("", "*/", "*/*/"):
            found = sorted(payload.glob(f"{depth}{RUNTIME}/__init__.py"))
            if found:
                return found[0].parents[1]
        payload = next(iter(sorted(payload.glob("*.zip"))), payload)
    unpack(payload, root)
    return root


def unpack(archive: Path, root: Path) -> None:
    """Unpack an archive of plain files; anything in it that leads elsewhere ends the task."""
    try:
        with zipfile.ZipFile(archive) as bundle:
            for member in bundle.infolist():
                kind = (member.external_attr >> 16) & 0o170000
                if kind not in (0, 0o100000, 0o040000) or not _stays_inside(member.filename):
                    sys.exit(f"entry: {member.filename!r} in the payload is not a plain file below its root")
            root.mkdir(parents=True, exist_ok=True)
            bundle.extractall(root)
    except (OSError, zipfile.BadZipFile) as error:
        sys.exit(f"entry: the payload {archive} cannot be unpacked to {root}: {error}")


def linked(link: Path, root: Path) -> Path:
    """Make the files appear at ``link``; return where they can be used."""
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink():
            link.unlink()
        link.symlink_to(root, target_is_directory=True)
    except OSError as error:
        print(f"entry: {link} could not be made ({error.strerror}); continuing with {root}", flush=True)
        return root
    return link


def _stays_inside(name: str) -> bool:
    return not name.startswith("/") and "\\" not in name and ".." not in name.split("/")


if __name__ == "__main__":
    main()
