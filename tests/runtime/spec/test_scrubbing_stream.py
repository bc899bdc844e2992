"""What a job prints holds no secret, whoever prints it."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import gaitway_runtime
import pytest
from gaitway_runtime.spec.secrets import ScrubbingStream

TOKEN = "hunter2hunter2"


def test_lines_are_scrubbed_as_they_become_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_TOKEN", TOKEN)
    behind = io.StringIO()
    stream = ScrubbingStream(behind)
    print("token:", TOKEN[:5], end="", file=stream)
    print(TOKEN[5:], file=stream)
    print("no end", end="", file=stream)
    assert behind.getvalue() == "token: ***\n"
    stream.flush()
    assert behind.getvalue() == "token: ***\nno end"


def test_a_users_module_cannot_print_a_secret_into_the_log(tmp_path: Path) -> None:
    (tmp_path / "chatty.py").write_text(
        "import os, sys\nprint(os.environ['MY_API_TOKEN'], file=sys.stderr)\nprint('done')\n"
    )
    job = {"schema": 1, "kind": "train", "job": {"task": "No-Such-v0", "simulator": "mujoco", "imports": ["chatty"]}}
    (tmp_path / "job.json").write_text(json.dumps({**job, "context": {}}))
    runtime = str(Path(gaitway_runtime.__file__).parents[1])
    environ = {**os.environ, "MY_API_TOKEN": TOKEN, "PYTHONPATH": f"{runtime}{os.pathsep}{tmp_path}"}
    command = [sys.executable, "-m", "gaitway_runtime", "--job", "job.json"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert "done" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
