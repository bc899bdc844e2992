"""The entry script: it runs before anything of gaitway exists, on whatever the task was given."""

from __future__ import annotations

import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from fakes.osmo.service import LONGEST_S

from gaitway.platforms.osmo import entry

SAYS = "import os, sys; print('runtime in', os.getcwd(), sys.argv[1:])"


def archive(path: Path, names: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as bundle:
        for name, text in names.items():
            bundle.writestr(name, text)
    return path


def start(payload: Path, root: Path, link: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PAYLOAD": str(payload), "PAYLOAD_ROOT": str(root), "PAYLOAD_LINK": link, "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-I", str(Path(entry.__file__))]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONGEST_S)


@pytest.mark.parametrize("where", ["file", "folder"])
def test_an_archive_is_unpacked_and_its_runtime_started(tmp_path: Path, where: str) -> None:
    (tmp_path / "in").mkdir()
    files = {"gaitway_runtime/__init__.py": "", "gaitway_runtime/container.py": SAYS}
    path = archive(tmp_path / "in/payload.zip", files)
    done = start(path if where == "file" else path.parent, tmp_path / "root")
    assert done.returncode == 0, done.stderr
    assert f"runtime in {(tmp_path / 'root').resolve()} []" in done.stdout


@pytest.mark.parametrize("below", [".", "training", "name/training"])
def test_a_folder_is_used_where_it_lies(tmp_path: Path, below: str) -> None:
    package = tmp_path / "in" / below / "gaitway_runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "container.py").write_text(SAYS)
    link = tmp_path / "data/name/training"
    done = start(tmp_path / "in", tmp_path / "root", str(link))
    assert done.returncode == 0, done.stderr
    assert link.resolve() == package.parent.resolve()
    assert f"the payload lies in {link}" in done.stdout


def test_a_link_that_cannot_be_made_stops_nothing(tmp_path: Path) -> None:
    path = archive(tmp_path / "p.zip", {"gaitway_runtime/__init__.py": "", "gaitway_runtime/container.py": SAYS})
    (tmp_path / "taken").touch()
    done = start(path, tmp_path / "root", str(tmp_path / "taken/x"))
    assert done.returncode == 0, done.stderr
    assert "could not be made" in done.stdout


@pytest.mark.parametrize("name", ["../evil.py", "/evil.py", "a/../../evil.py", "a\\..\\evil.py"])
def test_an_archive_that_leads_elsewhere_ends_the_task(tmp_path: Path, name: str) -> None:
    info = zipfile.ZipInfo("x")
    info.filename = name
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr(info, "")
    done = start(path, tmp_path / "deep/root")
    assert (done.returncode, "is not a plain file below its root" in done.stderr) == (1, True)
    assert not list(tmp_path.rglob("evil.py"))


def test_a_link_in_an_archive_ends_the_task(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("gaitway_runtime")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr(info, "/etc")
    done = start(path, tmp_path / "root")
    assert (done.returncode, "is not a plain file" in done.stderr) == (1, True)


@pytest.mark.parametrize("content", [b"", b"not a zip"])
def test_a_broken_archive_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.zip"
    path.write_bytes(content)
    done = start(path, tmp_path / "root")
    assert (done.returncode, "cannot be unpacked" in done.stderr) == (1, True)


def test_a_payload_without_the_runtime_says_so(tmp_path: Path) -> None:
    done = start(archive(tmp_path / "p.zip", {"mine.py": ""}), tmp_path / "root")
    assert (done.returncode, "there is no gaitway_runtime in the payload" in done.stderr) == (1, True)
