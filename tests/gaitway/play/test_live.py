"""The live view: the Python simulation in MuJoCo's viewer, on loopback alone; and the page among MLflow's artifacts."""

import io
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import httpx
import pytest
from gaitway_runtime.evaluation.live_view import live_view
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.spec.files import RUN_NOTE
from gaitway_runtime.spec.result import write_json
from gaitway_runtime.stores.tracking_server import ensure_store

from gaitway.play.publishing import publish_page
from gaitway.run_handle import Run

FLAT, GO2 = "Isaac-Velocity-Flat-Anymal-C-v0", "Isaac-Velocity-Flat-Unitree-Go2-v0"


@pytest.fixture(scope="module")
def policy(flat_page: Path) -> Path:
    return flat_page.parent / "exported" / "policy.onnx"


def listening(port: int) -> set[str]:
    """Return the addresses at which a port of this machine can be reached."""
    addresses = {"127.0.0.1", *socket.gethostbyname_ex(socket.gethostname())[2]}
    outside = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    return {address for address in {*addresses, *outside} if ":" not in address and _answers(address, port)}


def _answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((address, port)) == 0


def test_the_python_simulation_is_shown_on_loopback_alone(policy: Path) -> None:
    with redirect_stdout(io.StringIO()), live_view(policy, FLAT) as view:
        shown = threading.Event()
        before = view._env.snapshot()[0].copy()
        stepping = threading.Thread(target=view.run, kwargs={"pace": 0, "steps": 60, "ready": shown.set})
        stepping.start()
        assert shown.wait(60)
        assert view._socket.getsockname()[0] == "127.0.0.1"
        assert "<canvas" in httpx.get(view.address, trust_env=False).text
        port = view._socket.getsockname()[1]
        assert listening(port) <= {"127.0.0.1", "127.0.1.1"}
        stepping.join()
        assert abs(view._handle.data.qpos - before).max() > 0.01, "the robot moves"


def test_a_taken_port_and_another_tasks_policy_are_refused(policy: Path, gaitway: Callable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = gaitway("play", str(policy), "--live", "--port", str(taken.getsockname()[1]), "--no-browser")
    assert ran.code == 2
    assert "cannot be used" in ran.err and "--port N" in ran.err
    with pytest.raises(UsageError, match="names joint LF_HAA"), live_view(policy, GO2):
        pass
    assert gaitway("play", str(policy), "--port", "8000").code == 2
    assert gaitway("play", str(policy), "--live", "--output", "x.html").code == 2


def test_the_page_is_put_among_the_runs_artifacts(start: Callable[..., Run], tmp_path: Path) -> None:
    import mlflow

    run = start()
    run.wait()
    page = tmp_path / "drive.html"
    page.write_text("<p>drive</p>")
    assert publish_page(run, page, None) == ""
    client = mlflow.MlflowClient(ensure_store(run.ledger.home))
    tracked = client.create_run(client.create_experiment("e", str(tmp_path / "artifacts"))).info
    assert publish_page(run, page, tracked.run_id) == ""
    assert [found.path for found in client.list_artifacts(tracked.run_id)] == ["drive.html"]


def test_artifacts_of_this_machine_take_the_page_without_a_client(start: Callable[..., Run], tmp_path: Path) -> None:
    run = start()
    run.wait()
    artifacts, page = tmp_path / "artifacts", tmp_path / "drive.html"
    artifacts.mkdir()
    page.write_text("<p>drive</p>")
    write_json({"run_id": "0123", "artifacts": str(artifacts)}, run.run_dir / "outputs" / RUN_NOTE)
    assert publish_page(run, page, "0123") == ""
    assert (artifacts / "drive.html").read_text() == "<p>drive</p>"
    page.unlink()
    assert "No such file" in publish_page(run, page, "0123")
