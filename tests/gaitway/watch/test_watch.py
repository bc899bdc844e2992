"""The training page: served on loopback while a run goes on, and kept as a file when it ends."""

import json
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import imageio_ffmpeg
import pytest
from fakes.browser import open_page

from gaitway.errors import UsageError
from gaitway.run_handle import Run
from gaitway.watch import server as server_module
from gaitway.watch.data import read_training
from gaitway.watch.page import training_page
from gaitway.watch.server import TOKEN_HEADER, TrainingServer

Start = Callable[..., Run]


@pytest.fixture
def going(start: Start) -> Run:
    run = start("do=wait", "report=yes")
    next(line for line in run.logs(follow=True) if line == "ready")
    return run


@pytest.fixture
def server(going: Run) -> Iterator[TrainingServer]:
    with TrainingServer(going, 0) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def test_the_server_listens_on_loopback_alone(server: TrainingServer) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.address.startswith("http://127.0.0.1:")


def test_the_page_and_its_data(server: TrainingServer, going: Run) -> None:
    page = httpx.get(server.address, trust_env=False)
    assert going.name in page.text
    data = httpx.get(f"{server.address}data.json", trust_env=False).json()
    assert (data["run"], data["status"]) == (going.name, "running")
    assert data["progress"]["iteration"] == 3
    assert data["curves"]["Train/mean_reward"] == [[3, 1.5]]
    assert "ready" in data["log"]


def test_a_slow_machine_does_not_freeze_the_page(going: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look imports a lot, and any takes long where the training has the processors."""
    clock = {"now": 100.0, "cpu": 0.0}
    looks = []

    def look(run: Run) -> dict[str, int]:
        looks.append(run.name)
        clock["now"] += 60.0
        clock["cpu"] += 6.0
        return {"looks": len(looks)}

    monkeypatch.setattr(server_module.time, "monotonic", lambda: clock["now"])
    monkeypatch.setattr(server_module.time, "thread_time", lambda: clock["cpu"])
    monkeypatch.setattr(server_module, "read_training", look)
    with TrainingServer(going, 0) as found:
        assert [found.data()["looks"], found.data()["looks"]] == [1, 2]
        assert found.data()["looks"] == 2, "it spares the processors"
        clock["now"] += server_module.LONGEST_PAUSE_S + 1
        assert found.data()["looks"] == 3


@pytest.mark.parametrize("path", ["../run.json", "progress.jsonl", "%2e%2e/run.json", "x.mp4", "/etc/passwd"])
def test_nothing_but_films_is_served_of_the_outputs(server: TrainingServer, path: str) -> None:
    assert httpx.get(f"{server.address}outputs/{path}", trust_env=False).status_code == 404


def test_another_host_name_and_a_missing_token_are_refused(server: TrainingServer, going: Run) -> None:
    assert httpx.get(server.address, headers={"Host": "evil.example"}, trust_env=False).status_code == 403
    assert httpx.post(f"{server.address}stop", trust_env=False).status_code == 403
    wrong = httpx.post(f"{server.address}stop", headers={TOKEN_HEADER: "guess"}, trust_env=False)
    assert wrong.status_code == 403
    assert going.status().status.value == "running"


def test_two_pages_of_one_run_and_a_taken_port(server: TrainingServer, going: Run) -> None:
    with TrainingServer(going, 0) as second:
        assert second.address != server.address
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="cannot be used"):
        TrainingServer(going, taken.getsockname()[1])


def write_film(path: Path) -> None:
    path.parent.mkdir(parents=True)
    writer = imageio_ffmpeg.write_frames(str(path), (64, 64), fps=10)
    writer.send(None)
    for shade in range(10):
        writer.send(bytes([25 * shade]) * 64 * 64 * 3)
    writer.close()


def test_curves_move_and_the_stop_button_asks_twice_in_a_browser(server: TrainingServer, going: Run) -> None:
    progress = going.run_dir / "outputs" / "progress.jsonl"
    with open_page() as page:
        page.resize(390, 844)
        page.open(server.address)
        page.wait_for("document.querySelectorAll('figure').length > 0")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        with progress.open("a") as stream:
            evaluation = {"iteration": 2, "mean_reward": 3.25, "survival_rate": 0.5}
            report = {"phase": "train", "iteration": 4, "total": 9, "reward": 2.75, "evaluation": evaluation}
            stream.write(json.dumps({**report, "course": "on its way"}) + "\n")
        page.wait_for("document.getElementById('charts').textContent.includes('2.75')")
        first = page.evaluate("document.querySelector('#charts figure').textContent")
        assert first.startswith("Reward, as it is judged") and "3.25" in first, "what is judged comes first"
        told = page.evaluate("[axis(16495), axis(23601), short(19051), axis(0.0004), axis(12)].join(' ')")
        assert told == "16.5K 23.6K 19.05K 4e-4 12", "the ends of an axis of thousands are two numbers"
        said = "Judged after iteration 2: reward 3.25, survival 50 %; on its way"
        assert page.evaluate("document.getElementById('course').textContent") == said
        write_film(going.run_dir / "outputs" / "videos" / "training" / "iteration_000002.mp4")
        page.wait_for("document.querySelector('video')?.videoWidth === 64")
        assert page.evaluate("document.querySelector('#films figcaption').textContent") == "Film after iteration 2"
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.evaluate("document.getElementById('stop').click()")
        assert going.status().status.value == "running"
        assert page.evaluate("document.getElementById('stop').textContent") == "Really stop? Click again"
        page.evaluate("document.getElementById('stop').click()")
        page.wait_for("document.getElementById('state').textContent.startsWith('cancelled')")
        assert page.problems == []
        outside = [address for address in page.requests if not address.startswith((server.address, "about:", "data:"))]
        assert outside == []


def test_train_watch_serves_the_page_while_it_follows_and_films(gaitway: Callable, stand_in: list[str]) -> None:
    ran = gaitway("train", *stand_in, "--watch", "--name", "seen")
    assert ran.code == 0
    assert re.search(r"seen is shown at http://127\.0\.0\.1:\d+/ while this command follows it", ran.err)
    assert '"films": true' in gaitway("train", *stand_in, "--watch", "--dry-run").out
    assert '"films": false' in gaitway("train", *stand_in, "--watch", "--no-films", "--dry-run").out
    assert gaitway("train", *stand_in, "--watch", "--detach").code == 2


def test_films_are_in_the_order_in_which_they_were_made(start: Start) -> None:
    run = start()
    run.wait()
    films = run.run_dir / "outputs" / "videos" / "training"
    films.mkdir(parents=True)
    for age, name in (
        (300, "iteration_000900.mp4"),
        (200, "iteration_001000.mp4"),
        (100, "iteration_001100.partial.mp4"),
    ):
        (films / name).touch()
        os.utime(films / name, (1e9 - age, 1e9 - age))
    found = read_training(run)["films"]
    assert found == ["videos/training/iteration_000900.mp4", "videos/training/iteration_001000.mp4"]


def test_a_training_leaves_its_page(gaitway: Callable, stand_in: list[str], home: Path) -> None:
    assert gaitway("train", *stand_in, "--name", "one").code == 0
    page = home / "runs" / "one" / "outputs" / "training.html"
    assert '"Train/mean_reward": [[3, 1.5]]' in page.read_text()
    assert not (home / "mlflow.db").exists(), "looking makes no store"


@pytest.mark.parametrize(("words", "learned"), [((), False), (("--set", "report=yes"), True)])
def test_a_training_that_failed_has_a_page_only_if_it_learned(
    gaitway: Callable, stand_in: list[str], home: Path, words: tuple[str, ...], learned: bool
) -> None:
    ran = gaitway("train", *stand_in, "--name", "one", "--set", "do=fail", *words)
    page = home / "runs" / "one" / "outputs" / "training.html"
    assert (ran.code, "how it learned" in ran.err, page.exists()) == (1, learned, learned), ran.err


def test_a_log_cannot_end_the_pages_script(start: Start) -> None:
    run = start()
    run.wait()
    (run.run_dir / "log.txt").write_text("</script><script>alert(1)</script>\n")
    assert "</script><script>alert" not in training_page(read_training(run))
