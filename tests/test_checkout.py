"""A checkout of the repository, as Git for Windows makes it: scripts that start in WSL."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def git(*words: str, cwd: Path) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *words], cwd=cwd, check=True, capture_output=True)


def test_a_checkout_with_windows_line_endings_leaves_scripts_and_templates_alone(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    for folder in ("scripts", "workflows", "deploy/002-setup"):
        shutil.copytree(ROOT / folder, origin / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (".gitattributes", "Makefile", "constraints.txt"):
        shutil.copy2(ROOT / file, origin / file)
    git("init", "-q", cwd=origin)
    git("add", "-A", cwd=origin)
    git("commit", "-qm", "all", cwd=origin)
    git("-c", "core.autocrlf=true", "clone", "-q", str(origin), str(tmp_path / "w"), cwd=tmp_path)
    files = [path for path in (tmp_path / "w").rglob("*") if path.is_file() and ".git" not in path.parts]
    assert len(files) > 10
    assert [path.name for path in files if b"\r\n" in path.read_bytes()] == []
