"""Faults of the tracking server in the middle of a training."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes import faulty_server, mlflow_server
from tests.fakes.faulty_server import FAULTS, FaultyServer, Handler
from tests.fakes.mlflow_server import MlflowServer
from tests.fakes.processes import free_port
from tests.fakes.proxy import Line
from tests.fakes.whole_job import CARTPOLE, Course

from .lab import Lab, Row

AWAY_S = 1.0
"""How long a fault stays on [s]."""


class Hanging:
    """A server that accepts requests and answers none until it is released."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def __call__(self, handler: Handler) -> bool:
        self._over.wait(60)
        return False

    def release(self) -> None:
        """Answer everything from now on."""
        self._over.set()


def in_midtraining(lab: Lab, row: Row, tries: int) -> None:
    """Let the server fail in every known way for a while, at a random instant of a training."""
    dice = lab.dice(row.fault)
    whole, duration = lab.whole(CARTPOLE)
    with mlflow_server.running(lab.folder("server")) as server, faulty_server.before(server.url) as faulty:
        for name in [*FAULTS, "hangs", "refuses"] * tries:
            course = lab.course(CARTPOLE, uri=faulty.url)
            process = lab.run(course)
            process.wait(dice.uniform(0.3, 1.0) * duration)
            with _fault(name, faulty):
                process.wait(AWAY_S)
            row.tries += 1
            code = process.wait()
            problems = [] if code == 0 else [f"it ended with {code}: {course.log()[-500:]}"]
            row.add(problems or course.problems(whole), f"{name}: {course.home}")


@contextmanager
def _fault(name: str, faulty: FaultyServer) -> Iterator[None]:
    hanging = Hanging()
    if name == "refuses":
        faulty.refuse()
    else:
        faulty.set_fault(hanging if name == "hangs" else FAULTS[name])
    yield
    faulty.set_fault(None)
    hanging.release()
    if name == "refuses":
        faulty.listen()


def at_start(lab: Lab, row: Row, tries: int) -> None:
    """Let the server be away, or hang, when a training starts, and come back before it ends."""
    whole, _ = lab.whole(CARTPOLE)
    with mlflow_server.running(lab.folder("server")) as server, faulty_server.before(server.url) as faulty:
        for name in ["hangs up", "500", "502 page", "429", "hangs", "refuses"] * tries:
            course = lab.course(CARTPOLE, uri=faulty.url)
            with _fault(name, faulty):
                process = lab.run(course, env={"CHAOS_START_S": "0.5"})
                process.wait(2 * AWAY_S)
            row.tries += 1
            code = process.wait()
            problems = [] if code == 0 else [f"it ended with {code}: {course.log()[-500:]}"]
            row.add(problems or course.problems(whole), f"{name}: {course.home}")


def emptied(lab: Lab, row: Row, tries: int) -> None:
    """Let the server come back with an empty database; ``sync --recreate`` makes the run anew."""
    dice = lab.dice(row.fault)
    whole, _ = lab.whole(CARTPOLE)
    for _ in range(tries):
        server = MlflowServer(lab.folder("server"), free_port())
        server.start()
        try:
            course = lab.course(CARTPOLE, uri=server.url)
            process = lab.stopped_at(course, dice.randrange(2, 7), env={"CHAOS_AT_END_S": "1"})
            server.kill()
            for path in server.folder.glob("mlflow.db*"):
                path.unlink()
            shutil.rmtree(server.folder / "served", ignore_errors=True)
            server.start()
            process.signal(signal.SIGCONT)
            row.tries += 1
            process.wait()
            row.add(_recreated(lab, course, whole.metrics), str(course.home))
        finally:
            server.stop()


def _recreated(lab: Lab, course: Course, wanted: dict[str, list[tuple[int, float]]]) -> list[str]:
    result = course.result()
    if result.get("status") != "succeeded":
        return [f"the training ended as {result.get('status')}"]
    problems = ["the result has an address that does not lead anywhere"] if result.get("published") else []
    code, said = lab.client(course.home, "sync", "--json")
    problems += [] if "unknown" in said else [f"sync does not say that the run is unknown: {said[-300:]}"]
    code, said = lab.client(course.home, "sync", "--recreate", "--json")
    problems += [] if code == 0 else [f"sync --recreate ended with {code}: {said[-300:]}"]
    runs = [run for run in _runs_of(course.uri)]
    if len(runs) != 1:
        return [*problems, f"{len(runs)} runs on the emptied server"]
    from tests.fakes.whole_job import points_that_differ

    return problems + points_that_differ(course.metrics(runs[0]), wanted)


def _runs_of(uri: str) -> list[str]:
    from gaitway_runtime.stores.mlflow_client import open_client

    client = open_client(uri)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return [run.info.run_id for run in client.search_runs(ids)]


def moved(lab: Lab, row: Row, tries: int) -> None:
    """Let the server come back at another port: what waits is named with the old one, and sent when it leads there."""
    dice = lab.dice(row.fault)
    whole, _ = lab.whole(CARTPOLE)
    for _ in range(tries):
        with mlflow_server.running(lab.folder("server")) as server:
            line = Line(server.port)
            line.up()
            course = lab.course(CARTPOLE, uri=line.url)
            process = lab.stopped_at(course, dice.randrange(2, 7), env={"CHAOS_AT_END_S": "1"})
            line.down()
            process.signal(signal.SIGCONT)
            row.tries += 1
            code = process.wait()
            row.add([] if code == 0 else [f"it ended with {code}"], str(course.home))
            _, said = lab.client(course.home, "sync", "--json")
            row.add([] if line.url in said else [f"the server that is waited for is not named: {said}"])
            line.up()
            code, said = lab.client(course.home, "sync", "--json")
            row.add([] if code == 0 else [f"sync ended with {code}: {said[-300:]}"])
            row.add(course.problems(whole), str(course.home))
            line.down()
