"""Secrets planted wherever a user may put one, and searched for in everything that comes out.

A SAS signature travels in the checkpoint's URL, a client secret and a password in the environment and in a sensitive
Terraform output. None of them may show on a terminal, in a traceback, in a file of the run or of the store; the
signature must still reach the server.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from gaitway_runtime.spec.job import TrainJob

import gaitway
from gaitway.platforms.base import load, present

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / "tests" / "fixtures" / "checkpoints" / "rsl_rl-5.5.1-normalized" / "model.pt"
SIGNATURE = "PlantedSignature%2Bof%2FaSAS%3D"
CLIENT_SECRET = "Planted~Client.Secret-0123"
OUTPUT = "planted-terraform-output"
PASSWORD = "planted-user-password"
PLANTED = (SIGNATURE, unquote(SIGNATURE), CLIENT_SECRET, OUTPUT, PASSWORD)


@dataclass
class Storage:
    """A server that has a checkpoint (of another task) for whom shows the signature, and remembers who asked."""

    checkpoint: Path = CHECKPOINT
    asked: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """A checkpoint's address with a signature and a password in it."""
        return f"http://user:{PASSWORD}@127.0.0.1:{self.port}/container/model_9.pt?sv=2026-10-06&sig={SIGNATURE}"


@pytest.fixture
def storage() -> Iterator[Storage]:
    """A running :class:`Storage`."""
    kept = Storage()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kept.asked.append(self.path)
            if SIGNATURE not in self.path:
                return self.send_error(403)
            self.send_response(200)
            self.send_header("Content-Length", str(kept.checkpoint.stat().st_size))
            self.end_headers()
            self.wfile.write(kept.checkpoint.read_bytes() if self.command == "GET" else b"")

        do_HEAD = do_GET  # noqa: N815 - the name is the library's

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    kept.port = server.server_port
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield kept
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class User:
    """Someone who types commands, with an environment full of secrets."""

    home: Path
    environ: dict[str, str]

    def types(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run ``gaitway`` and make sure that nothing planted shows."""
        done = subprocess.run(
            [sys.executable, "-m", "gaitway", *words],
            cwd=ROOT,
            env={**self.environ, **more},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert not [secret for secret in PLANTED if secret in done.stdout + done.stderr]
        return done

    def files_with_secrets(self) -> list[str]:
        """Return every file below the home folder that holds something planted, the database included."""
        files = [path for path in self.home.rglob("*") if path.is_file()]
        assert files
        return [f"{path}: {secret}" for path in files for secret in PLANTED if secret.encode() in path.read_bytes()]


@pytest.fixture
def user(tmp_path: Path) -> User:
    """A user with secrets in the environment and in Terraform's outputs."""
    iac = tmp_path / "iac"
    iac.mkdir()
    outputs = {"azureml_workspace": {"value": {"name": OUTPUT}, "sensitive": True}}
    (iac / "terraform.tfstate").write_text(
        json.dumps({"version": 4, "terraform_version": "1.11.4", "outputs": outputs})
    )
    planted = {
        "AZURE_CLIENT_SECRET": CLIENT_SECRET,
        "GAITWAY_HOME": str(tmp_path / "home"),
        "GAITWAY_TERRAFORM_DIR": str(iac),
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "src" / "training"))),
    }
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "XDG_CACHE_HOME") if name in os.environ}
    return User(tmp_path / "home", {**inherited, **planted})


TRAIN = ("train", "--task", "Isaac-Cartpole-v0", "--checkpoint-mode", "warm-start", "--max-iterations", "1")


def test_looking_shows_no_secret(user: User, storage: Storage) -> None:
    for words in ((), ("--json",), ("--debug",)):
        shown = user.types(*TRAIN, "--dry-run", "--checkpoint-uri", storage.url, *words)
        assert shown.returncode == 0, shown.stderr
        assert f"http://127.0.0.1:{storage.port}/container/model_9.pt" in shown.stdout
        assert user.types(*TRAIN, "--dry-run", *words, CHECKPOINT_URI=storage.url).returncode == 0
    user.types("config", "--checkpoint-uri", storage.url)
    user.types("config", "explain", "azure_workspace_name", "--json")
    user.types("config", "explain", "checkpoint_uri", CHECKPOINT_URI=storage.url)
    assert storage.asked == []


def test_errors_and_their_tracebacks_show_no_secret(user: User, storage: Storage) -> None:
    for words in (
        (*TRAIN, "--dry-run", "--debug", "--num-envs", storage.url),
        (*TRAIN, "--dry-run", "--debug", "--checkpoint-sha", storage.url),
        ("train", "--dry-run", "--debug", "--checkpoint-uri", storage.url),
        ("config", "explain", storage.url, "--debug"),
        ("export", storage.url, "--debug"),
        (*TRAIN, "--dry-run", "--debug", "--", f"azure_client_secret={CLIENT_SECRET}"),
        (*TRAIN, "--dry-run", "--debug", "--", f"payload_url={storage.url}"),
    ):
        assert user.types(*words).returncode != 0


@pytest.mark.parametrize("platform", [name for name in present() if load(name).limits.remote])
def test_a_platform_that_would_write_it_down_refuses(user: User, storage: Storage, platform: str) -> None:
    refused = user.types(*TRAIN, "--on", platform, "--dry-run", "--debug", CHECKPOINT_URI=storage.url)
    assert refused.returncode == 3
    assert "holds a credential" in refused.stderr
    assert "runs:/" in refused.stderr


@pytest.mark.parametrize("platform", present())
def test_a_request_holds_no_secret(
    user: User, storage: Storage, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**user.environ, "AZUREML_WORKSPACE_NAME": "mlw", "AZURE_RESOURCE_GROUP": "rg"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)
    url = "runs:/abc/checkpoints/final" if load(platform).limits.remote else storage.url
    asked = {"task": "Isaac-Cartpole-v0", "checkpoint_mode": "warm-start", "checkpoint_uri": url}
    prepared = gaitway.plan(TrainJob, on=platform, **asked)
    assert prepared.submission.settings["azure_workspace_name"].value == "mlw"
    assert not [secret for secret in PLANTED if secret in repr(prepared)]


def test_a_failing_run_leaves_no_secret_and_the_server_got_it(user: User, storage: Storage) -> None:
    ran = user.types(*TRAIN, "--name", "planted", "--debug", "--json", "--checkpoint-uri", storage.url)
    assert ran.returncode != 0
    assert any(SIGNATURE in path for path in storage.asked), "the signature must reach the server"
    assert ran.returncode == 2, "the checkpoint is another task's"
    for words in (("runs",), ("status", "planted"), ("logs", "planted"), ("status", "planted", "--json")):
        user.types(*words)
    assert user.files_with_secrets() == []


@pytest.mark.slow
def test_a_run_that_succeeds_and_its_tags_hold_no_secret(user: User, storage: Storage) -> None:
    first = user.types("train", "--task", "Isaac-Cartpole-v0", "--num-envs", "4", "--max-iterations", "1", "--json")
    assert first.returncode == 0, first.stderr
    storage.checkpoint = Path(json.loads(first.stdout)["final_checkpoint"]["path"])
    second = user.types(*TRAIN, "--num-envs", "4", "--json", CHECKPOINT_URI=storage.url)
    assert second.returncode == 0, second.stderr
    assert (user.home / "mlflow.db").exists()
    assert user.files_with_secrets() == []
