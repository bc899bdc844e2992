"""Standard streams that are closed, full or broken, and paths that a shell left alone."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[3] / "samples" / "anymal-c-flat" / "model_194.pt"


def shell(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which ``"$@"`` is ``gaitway`` with some arguments."""
    command = [sys.executable, "-m", "gaitway", *words]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(["bash", "-c", script, "bash", *command], capture_output=True, text=True, env=environ)


def names(home: Path) -> list[str]:
    return [path.name for path in (home / "runs").iterdir()]


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_stream_changes_nothing_about_a_submission(stand_in: list[str], home: Path, closed: str) -> None:
    done = shell(f'"$@" {closed}', "train", *stand_in, "--name", "one")
    assert done.returncode == 0
    assert names(home) == ["one"]
    result = json.loads((home / "runs" / "one" / "outputs" / "result.json").read_text())
    assert result["status"] == "succeeded"


def test_messages_that_nobody_reads_do_not_end_the_command(stand_in: list[str], home: Path) -> None:
    done = shell('"$@" --json 2> >(true); echo "code $?"', "train", *stand_in, "--set", "fail=yes", "--name", "one")
    assert done.stdout.rstrip().splitlines()[-1] != "code 0" or names(home) == ["one"]
    assert json.loads(done.stdout.rpartition("code")[0])["run"] == "one"


def test_a_full_disk_behind_standard_output_is_one_sentence(home: Path) -> None:
    done = shell('"$@" > /dev/full', "version")
    assert done.returncode == 4
    assert done.stderr.splitlines()[0] == "error: the output cannot be written: No space left on device"
    assert "unexpected" not in done.stderr


def test_a_reader_that_has_seen_enough_ends_the_command(home: Path) -> None:
    assert shell('"$@" | true; exit ${PIPESTATUS[0]}', "tasks").returncode == 0


def test_a_tilde_that_the_shell_left_alone_is_the_home_folder(
    gaitway: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert gaitway("export", str(SAMPLE), "--output=~/made").code == 0
    assert (tmp_path / "made" / "policy.onnx").is_file()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "task.py").write_text("")
    listed = gaitway("payload", "--with=~/mine").out
    assert "mine/task.py" in listed
    assert not (tmp_path / "~").exists()
