"""The live line: which log lines it stands for, what it says, and how it looks on a real terminal."""

import io
import json
import os
import pty
import re
import signal
import sys
from pathlib import Path

from gaitway_runtime.process.lifecycle import Progress

from gaitway.cli.live import PLAIN_PROGRESS, words

REPORT = {"reward": 4.25, "episode_length": 150.0, "steps": 4096.0}


def test_the_live_line_stands_for_the_runtimes_own_progress_lines(tmp_path: Path) -> None:
    stream = io.StringIO()
    ticks = iter(range(100))
    progress = Progress(tmp_path, stream=stream, every=0, clock=lambda: float(next(ticks)))
    progress.phase("play onnx")
    for iteration in (1, 2, 3):
        progress.report(iteration, 3, **REPORT)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert all(PLAIN_PROGRESS.fullmatch(line) for line in lines)
    assert not PLAIN_PROGRESS.fullmatch("INFO | Found final model: /runs/a/model_99.pt")
    assert not PLAIN_PROGRESS.fullmatch("View run at: http://127.0.0.1:5000/#/experiments/1/runs/0123")


def test_the_words_beside_the_bar(tmp_path: Path) -> None:
    report = {"iteration": 5, "total": 60, "steps_per_s": 12345.6, "eta_s": 75.0, **REPORT}
    assert words(report) == "5/60 · training reward 4.25 · length 150 · 12,346 steps/s · 1 min 15 s left"
    assert words({"phase": "upload"}) == ""


def test_a_terminal_shows_the_live_line_and_other_lines_above_it(stand_in: list[str], home: Path) -> None:
    command = [sys.executable, "-m", "gaitway", "train", *stand_in, "--set", "do=wait", "--set", "report=yes"]
    ours, theirs = pty.openpty()
    pid = os.posix_spawn(
        sys.executable,
        command,
        {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", "COLUMNS": "120"},
        file_actions=[(os.POSIX_SPAWN_DUP2, theirs, number) for number in (0, 1, 2)],
        setsid=True,
    )
    os.close(theirs)
    seen = b""
    stopped = False
    while b"next: " not in seen:
        seen += os.read(ours, 4096)
        if b"reward 1.50" in seen and b"ready" in seen and not stopped:
            stopped = True
            os.kill(pid, signal.SIGINT)
    os.close(ours)
    os.waitpid(pid, 0)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
    assert "3/3 · training reward 1.50 · 100 steps/s" in text
    assert "train 3/3 | reward 1.50" not in text
    assert "\x1b[3" not in seen.decode(), "NO_COLOR is set"
    [run] = (home / "runs").iterdir()
    assert json.loads((run / "outputs" / "result.json").read_text())["status"] == "cancelled"
