"""Live view of the Python simulation: a policy in its task, shown by MuJoCo's own web viewer on loopback."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..spec.errors import ConfigError, unusable_port
from ..spec.packages import missing_package

if TYPE_CHECKING:
    from ..simulators.mujoco.env import MujocoEnv

HOST = "127.0.0.1"
SEED = 7
VERSION = "4.0.0"
"""The release of MuJoCo's viewer that is known to listen where it is told to."""


class LiveView:
    """A policy that drives its task's robot in Python, for browsers of this machine to look at.

    Args:
        policy: An exported ``policy.onnx``.
        task: Name of its task.
        port: Where to listen; 0 for any free port.

    Raises:
        UsageError: The port cannot be used, the embedded simulator has no such task, or the policy does not fit it.
        ConfigError: MuJoCo's viewer is not installed.
    """

    def __init__(self, policy: Path, task: str, port: int = 0) -> None:
        try:
            from .subject import exported_actor
        except ImportError as error:
            raise missing_package("the live view", error, "local") from None
        self._socket = _listen(port)
        self.address = f"http://{HOST}:{self._socket.getsockname()[1]}/"
        """Address of the page."""
        with contextlib.ExitStack() as undo:
            undo.callback(self._socket.close)
            self._env = _open(task)
            undo.callback(self._env.close)
            self._policy, _ = undo.enter_context(exported_actor(policy, self._env.contract))
            self._handle = _launch(self._socket, task)
            self._undo = undo.pop_all()

    def run(self, *, pace: float = 1.0, steps: int | None = None, ready: Callable[[], object] = lambda: None) -> None:
        """Step and show the simulation, in real time, until the viewer is closed.

        Args:
            pace: Speed; 1 for real time, 0 for as fast as it goes.
            steps: Control steps after which to return; without end when None.
            ready: Called once, when the viewer shows the first state.
        """
        from ..simulators.mujoco.models import build_model

        env, handle = self._env, self._handle
        handle.set_model(build_model(env.task))
        observations, due, done = env.reset(SEED)["policy"], time.monotonic(), 0
        while handle.is_running() and (steps is None or done < steps):
            self._show()
            if done == 0:
                ready()
            observations = self._step(observations)
            done += 1
            due += env.step_dt * pace
            left = due - time.monotonic()
            if left > 0:
                time.sleep(left)
            else:
                due -= left  # a slow machine shows slow motion; it does not hurry afterwards

    def close(self) -> None:
        """End the viewer and free the simulation."""
        with contextlib.suppress(OSError):
            self._handle.close()
        self._undo.close()

    def _step(self, observations: Any) -> Any:
        transition = self._env.step(self._policy.act(observations))
        over = transition.terminated | transition.truncated
        if over.any():
            self._policy.reset(over)
        return transition.observations["policy"]

    def _show(self) -> None:
        engine, data = self._env.engine, self._handle.data
        data.qpos[:], data.qvel[:] = engine.qpos[0], engine.qvel[0]
        self._handle.sync()


@contextlib.contextmanager
def live_view(policy: Path, task: str, port: int = 0) -> Iterator[LiveView]:
    """Open a live view and close it at the end; see :class:`LiveView`."""
    view = LiveView(policy, task, port)
    try:
        yield view
    finally:
        view.close()


def _open(task: str) -> MujocoEnv:
    from ..simulators.mujoco.env import MujocoEnv
    from ..tasks.environment import find_environment

    return MujocoEnv(find_environment(task), num_envs=1, training=False, seed=SEED, nthread=1)


def _listen(port: int) -> socket.socket:
    """Return a socket that is bound to loopback alone."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
    except (OSError, OverflowError) as error:
        found.close()
        raise unusable_port(port, error) from None
    return found


def _launch(listening: socket.socket, task: str) -> Any:
    """Start MuJoCo's viewer on a socket; by itself it would listen on all interfaces."""
    try:
        from mujoco.studio import launch_web, viewer_protocol, web_viewer

        from .live_camera import FollowingCamera
    except ImportError as error:
        raise missing_package("the live view", error, "local") from None
    if not hasattr(web_viewer.web_server, "bind_public_socket"):
        raise ConfigError("this release of MuJoCo's web viewer is not known", allowed=f"mujoco-studio {VERSION}")
    web_viewer.web_server.bind_public_socket = lambda host, port=0: listening
    web_viewer._print_url_banner = lambda host, port: None  # it names other addresses
    logging.getLogger("WebServer").setLevel(logging.WARNING)

    return launch_web.launch(viewer_protocol.ViewerConfig(title=task, gfx="web"), plugins=[FollowingCamera()])
