import contextlib
import dataclasses
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from gaitway_runtime.evaluation.film import Film, film_of, load_film
from gaitway_runtime.evaluation.rollout import run_steps
from gaitway_runtime.evaluation.video import Filming, available_backends
from gaitway_runtime.simulators.base import EPISODE_OVER
from gaitway_runtime.simulators.mujoco.render.camera import Camera
from gaitway_runtime.simulators.mujoco.render.overlay import Overlay
from gaitway_runtime.spec.errors import Interrupted

from tests.fakes import drawer
from tests.fakes.env import FakeEnv, Obey


def film(frames: int = 8, simulator: str = "fake") -> Film:
    return Film(
        task="Fake-v0",
        simulator=simulator,
        title="fake",
        snapshots=np.zeros((frames, 2)),
        measurements={"vel_x": np.array([0.5] * (frames - 1) + [np.nan], dtype=np.float32)},
        step_dt=0.02,
        width=64,
        height=48,
        imports=(drawer.__name__,),
    )


def read(path: Path) -> tuple[dict[str, object], list[np.ndarray]]:
    reader = imageio_ffmpeg.read_frames(str(path))
    meta = next(reader)
    return meta, [np.frombuffer(frame, np.uint8).reshape(48, 64, 3) for frame in reader]


def test_a_film_survives_its_file(tmp_path: Path) -> None:
    made = film()
    made.save(tmp_path / "film.npz")
    again = load_film(tmp_path / "film.npz")
    assert (again.title, again.imports, again.width, again.step_dt) == (made.title, made.imports, 64, 0.02)
    np.testing.assert_array_equal(again.measurements["vel_x"], made.measurements["vel_x"])


def test_a_film_shows_the_first_steps_of_the_first_world() -> None:
    rollout = run_steps(FakeEnv(3), Obey(), 30, seed=0, snapshots=10)
    made = film_of(rollout.recording, task="t", simulator="fake", title="t", step_dt=rollout.step_dt)
    assert made.snapshots.shape == (10, 2)
    np.testing.assert_array_equal(made.measurements["vel_x"], rollout.recording.measurements["vel_x"][:10, 0])


def test_the_end_of_an_episode_stays_for_a_moment_and_is_marked() -> None:
    rollout = run_steps(FakeEnv(2, lengths=[[50], [-20]]), Obey(), 30, seed=0, snapshots=30, filmed=1)
    made = film_of(rollout.recording, task="t", simulator="fake", title="t", step_dt=rollout.step_dt)
    over = made.measurements[EPISODE_OVER]
    held = round(0.6 / rollout.step_dt)
    assert len(made.snapshots) == 30 + held
    assert np.flatnonzero(over).tolist() == list(range(19, 20 + held))
    assert (made.snapshots[19 : 20 + held] == made.snapshots[19]).all()
    picture = np.full((48, 64, 3), 200, np.uint8)
    camera = Camera(np.zeros(3), np.array([0.0, -3.0, 1.0]))
    drawn = [Overlay("t", 64, 48).draw(picture, 0.0, {EPISODE_OVER: value}, camera, None) for value in (0.0, 1.0)]
    assert drawn[0][-3:].mean() > drawn[1][-3:].mean(), "a line across the foot says so"


def test_the_video_has_every_frame_at_the_speed_it_happened(tmp_path: Path) -> None:
    video = Filming(film(frames=20), tmp_path / "onnx_play", ("any",)).result()
    assert video.path is not None and video.poster is not None and video.poster.stat().st_size
    meta, frames = read(video.path)
    assert (len(frames), meta["fps"], meta["codec"]) == (20, 50.0, "h264")
    assert all(frame.mean() > 20 for frame in frames)
    assert sorted(path.name for path in video.path.parent.iterdir()) == ["rl-video-step-0.mp4", "rl-video-step-0.png"]


def test_where_one_way_to_draw_fails_the_next_one_is_taken(tmp_path: Path) -> None:
    video = Filming(film(), tmp_path, ("broken", "any")).result()
    assert (video.backend, video.frames) == ("any", 8)


@pytest.mark.parametrize(("backend", "reason"), [("broken", "no display"), ("dark", "black frames only")])
def test_without_a_video_it_is_said_why(tmp_path: Path, backend: str, reason: str) -> None:
    video = Filming(film(), tmp_path, (backend,)).result()
    assert video.path is None
    assert reason in video.reason
    # What was recorded is not lost: another machine can draw it.
    assert len(load_film(tmp_path / "states.npz").snapshots) == 8


def test_a_simulator_that_is_not_drawn_from_states_has_no_video(tmp_path: Path) -> None:
    video = Filming(film(simulator="unseen"), tmp_path).result()
    assert video.path is None
    assert "unseen" in video.reason


def test_a_film_that_is_no_longer_wanted_leaves_no_process_behind(tmp_path: Path) -> None:
    filming = Filming(film(), tmp_path, ("stuck",))
    began = time.monotonic()
    filming.close()
    assert time.monotonic() - began < 60
    assert filming._process is not None and filming._process.poll() is not None


def test_waiting_for_a_film_can_be_stopped(tmp_path: Path) -> None:
    def stop() -> None:
        raise Interrupted("asked to stop")

    filming = Filming(film(), tmp_path, ("stuck",), check=stop)
    with pytest.raises(Interrupted):
        filming.result()
    assert filming._process is not None and filming._process.poll() is not None


def test_a_film_of_a_job_that_was_killed_is_drawn_no_further(tmp_path: Path) -> None:
    job = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from gaitway_runtime.evaluation.video import Filming\n"
        "from tests.runtime.evaluation.test_video import film\n"
        "drawing = Filming(film(), Path(sys.argv[1]), ('stuck',))\n"
        "print(drawing._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", job, str(tmp_path)], capture_output=True, text=True, env=environ)
    try:
        drawing = os.pidfd_open(int(done.stdout))
    except ProcessLookupError:
        return
    try:
        assert select.select([drawing], [], [], 60)[0], "the drawing goes on"
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(drawing, signal.SIGKILL)
        os.close(drawing)


def test_where_nothing_can_be_written_there_is_no_video_and_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    video = Filming(film(), tmp_path / "file" / "onnx_play").result()
    assert video.path is None
    assert "cannot be kept" in video.reason


def test_the_users_choice_of_opengl_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    assert available_backends()[0] == "osmesa"
    monkeypatch.delenv("MUJOCO_GL")
    assert "rays" in available_backends()


@pytest.mark.parametrize("backend", available_backends())
def test_what_is_called_available_draws_or_lets_the_next_one_draw(tmp_path: Path, backend: str) -> None:
    states = np.tile([0.5, 0.1], (3, 1))
    cartpole = dataclasses.replace(
        film(simulator="mujoco"), task="Isaac-Cartpole-v0", snapshots=states, measurements={}, imports=()
    )
    video = Filming(cartpole, tmp_path, tuple(dict.fromkeys((backend, "rays")))).result()
    assert video.path is not None, video.reason
    assert len(read(video.path)[1]) == 3
