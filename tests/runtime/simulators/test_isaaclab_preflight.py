"""What is looked at before Isaac Lab is started."""

from __future__ import annotations

import os
import shutil
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from gaitway_runtime.simulators.isaaclab import preflight
from gaitway_runtime.simulators.isaaclab.detect import Installation
from gaitway_runtime.spec.errors import ConfigError, PlatformError


def installation(generation: int = 3, kit: bool = False) -> Installation:
    return Installation(root=Path("/isaaclab"), generation=generation, release="2.3.2", kit=kit)


@pytest.fixture(autouse=True)
def _nobody_has_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in preflight.ACCEPTS:
        monkeypatch.setenv(name, "")  # so that what a test sets is undone
        monkeypatch.delenv(name)


def test_without_isaac_sim_nobody_is_asked_for_a_licence_or_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "GPU_FILES", (Path("/nowhere"),))
    preflight.check_machine(installation(), {})


def test_a_licence_that_is_not_accepted_is_said_with_what_accepts_it() -> None:
    with pytest.raises(ConfigError, match="licence of Isaac Sim is not accepted") as refused:
        preflight.check_machine(installation(kit=True), {"ACCEPT_EULA": "N"})
    assert "OMNI_KIT_ACCEPT_EULA=YES" in str(refused.value.hint)


def test_the_containers_word_for_acceptance_is_told_to_the_packages_too() -> None:
    preflight.check_machine(installation(kit=True), {"ACCEPT_EULA": "Y"})
    assert os.environ["OMNI_KIT_ACCEPT_EULA"] == "YES"


def test_isaac_sim_needs_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(preflight, "GPU_FILES", (tmp_path / "nvidiactl",))
    with pytest.raises(ConfigError, match=r"Isaac Lab 2\.3\.2 needs an NVIDIA GPU"):
        preflight.check_machine(installation(2, kit=True), {"ACCEPT_EULA": "Y"})
    (tmp_path / "nvidiactl").touch()
    preflight.check_machine(installation(2, kit=True), {"ACCEPT_EULA": "Y"})


def test_a_full_disk_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5 << 20))
    with pytest.raises(ConfigError, match="5 MiB are free"):
        preflight.check_machine(installation(), {})


@pytest.fixture
def server() -> Any:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response({"/there.usd": 200, "/guarded.usd": 403}.get(self.path, 404))
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def config(*addresses: str) -> Any:
    robot = SimpleNamespace(spawn=SimpleNamespace(usd_path=addresses[0], scale=(1.0, 1.0)))
    found = SimpleNamespace(scene=SimpleNamespace(robot=robot), more={"terrain": list(addresses[1:])})
    found.scene.again = found  # configurations may refer to themselves
    return found


def test_assets_that_can_be_had_are_no_matter(server: str, tmp_path: Path) -> None:
    (tmp_path / "robot.usd").touch()
    preflight.check_assets(config(f"{server}/there.usd", f"{server}/guarded.usd", str(tmp_path / "robot.usd"), "a.b"))


def test_an_asset_that_is_missing_is_named(server: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not on its server: .*/gone\.usd"):
        preflight.check_assets(config(f"{server}/gone.usd"))
    with pytest.raises(ConfigError, match=r"not there: .*/gone\.usd") as refused:
        preflight.check_assets(config(str(tmp_path / "gone.usd")))
    assert "ISAACSIM_ASSET_ROOT" in str(refused.value.hint)


def test_a_server_out_of_reach_is_said_at_once() -> None:
    with pytest.raises(PlatformError, match=r"out of reach: http://127\.0\.0\.1:1/robot\.usd"):
        preflight.check_assets(config("http://127.0.0.1:1/robot.usd"))


def test_what_only_a_viewer_loads_may_be_missing(tmp_path: Path) -> None:
    arrow = {"markers": {"arrow": SimpleNamespace(usd_path=str(tmp_path / "arrow_x.usd"))}}
    preflight.check_assets(SimpleNamespace(commands=SimpleNamespace(goal_vel_visualizer_cfg=arrow)))
