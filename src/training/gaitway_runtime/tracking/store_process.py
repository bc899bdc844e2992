"""Store of a run in a process of its own, which imports MLflow while the job itself starts: either takes seconds.

The process does what a :class:`.run_store.RunStore` does, in the same order, calls what else has to ask MLflow, and
ends with the job. Where it ends before, the job goes on with a store of its own.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..process.lifecycle import bond, stop_with_parent
from ..spec.errors import GaitwayError
from ..spec.files import database_path
from ..spec.registry import ForeignError, call_foreign
from ..spec.run_context import RunContext
from ..spec.schemes import TRACKED, scheme_of
from ..spec.secrets import log_to_output, scrub_output
from ..stores.mlflow_client import Failure, StoreFailure, attempt, open_client
from .attempts import RunOwner
from .base import ModelVersion
from .journal import Artifact, End, Open, Record
from .run_store import RunStore

if TYPE_CHECKING:
    from ..fetch import Fetched

START_S = 120.0
"""Longest that importing MLflow may take [s]; on a quiet machine it takes about 3."""
END_S = 1.0
"""Longest that the process gets to end by itself [s]."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class StoreProcessEnded(Exception):
    """The process does not answer."""


class StoreProcess:
    """The process, which begins to import MLflow at once.

    Args:
        uri: Tracking URI of the store that it is going to be asked for.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._pipe, theirs = multiprocessing.Pipe()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._closed = False
        root = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        with theirs:
            # In a session of its own: a signal to the job's group is the job's, which still has to tell how it ended.
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), uri],
                env={**os.environ, **bond(), "PYTHONPATH": paths},
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    def ask(self, method: str, *arguments: object, within: float | None = None) -> tuple[Any, Open, str]:
        """Let its store do something; return what that returns, and the store's header and address from then on.

        Args:
            method: Name of a method of :class:`.run_store.RunStore`, ``begin``, or ``call``.
            arguments: Of the method.
            within: Longest wait [s].

        Raises:
            StoreProcessEnded: It has ended, or does not answer in time.
            GaitwayError, StoreFailure: Raised by the method.
        """
        with self._lock:
            number = next(self._numbers)
            try:
                self._pipe.send((number, method, arguments))
                answered = -1
                while answered != number:  # one who was interrupted has left an answer unread
                    if not self._pipe.poll(within):
                        raise StoreProcessEnded
                    answered, error, *answer = self._pipe.recv()
            except (OSError, EOFError):
                if self._closed:
                    raise StoreFailure(Failure.AWAY, OSError("the job has ended")) from None
                raise StoreProcessEnded from None
        if error is not None:
            raise error
        result, header, url = answer
        return result, header, url

    def close(self) -> None:
        """End the process; who still asks it something is told that the store is away."""
        self._closed = True
        self._pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        self._process.kill()
        self._process.wait()


class ServedStore:
    """A run's store in a process of its own, not waited for until it is asked; see :class:`.run_store.RunStore`.

    Args:
        process: The process.
        header: Where the run belongs.
        folder: Folder that the paths of artifacts are relative to.
        owner: The process that the run belongs to, which is this one.
    """

    def __init__(self, process: StoreProcess, header: Open, folder: Path, owner: RunOwner) -> None:
        self._process, self._folder, self._owner = process, folder, owner
        self._header, self._url, self._begun = header, "", False
        self._own: RunStore | None = None

    @property
    def header(self) -> Open:
        """Where the run belongs."""
        return self._own.header if self._own else self._header

    @property
    def url(self) -> str:
        """Where a person can look at the run."""
        return self._own.url if self._own else self._url

    def open(self) -> Open:
        """See :meth:`.RunStore.open`."""
        header: Open = self._do("open")
        return header

    def start_anew(self) -> None:
        """See :meth:`.RunStore.start_anew`."""
        self._do("start_anew")

    def show_alive(self) -> None:
        """See :meth:`.RunStore.show_alive`."""
        self._do("show_alive")

    def send_values(self, records: Sequence[Record]) -> None:
        """See :meth:`.RunStore.send_values`."""
        self._do("send_values", records)

    def send_artifact(self, record: Artifact) -> str:
        """See :meth:`.RunStore.send_artifact`."""
        return str(self._do("send_artifact", record))

    def send_end(self, record: End) -> None:
        """See :meth:`.RunStore.send_end`."""
        self._do("send_end", record)

    def register(self, name: str, artifact_path: str, tags: Mapping[str, str]) -> ModelVersion:
        """See :meth:`.RunStore.register`."""
        version: ModelVersion = self._do("register", name, artifact_path, dict(tags))
        return version

    def _do(self, method: str, *arguments: object) -> Any:
        if self._own is None:
            try:
                if not self._begun:
                    self._process.ask("begin", self._header, self._folder, self._owner, within=START_S)
                    self._begun = True
                result, self._header, self._url = self._process.ask(method, *arguments)
            except StoreProcessEnded:
                self._go_on(method)
            else:
                return result
        return getattr(self._own, method)(*arguments)

    def _go_on(self, method: str) -> None:
        """Make a store here that knows what the process has sent, whatever it was at when it ended."""
        _log.warning("the process that writes to MLflow has ended: this one does it itself")
        own = RunStore(self._header, self._folder, recovered=True, owner=self._owner)
        if method not in ("open", "start_anew"):
            own.open()
        self._own = own


def begin_early(uri: str) -> StoreProcess | None:
    """Start the process of a store on this machine; return None where nothing is gained by it.

    Args:
        uri: Tracking URI of the store.
    """
    if database_path(uri) is None or "mlflow" in sys.modules:
        return None
    try:
        return StoreProcess(uri)
    except OSError:
        return None


def beside(process: StoreProcess | None, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Call a function that asks MLflow where MLflow is imported already.

    Args:
        process: Calls it; where there is none, or it ends, this process does.
        function: One of a module. What it is given, returns and raises has to travel.
        arguments: Of the function.
        named: The same.

    Raises:
        GaitwayError, StoreFailure: Raised by the function.
    """
    if process is not None:
        with contextlib.suppress(StoreProcessEnded):
            result: T = process.ask("call", functools.partial(function, *arguments, **named))[0]
            return result
    return function(*arguments, **named)


def for_address(process: StoreProcess | None, uri: str) -> StoreProcess | None:
    """Return the process where MLflow has what lies at an address, and None where it is not needed."""
    return process if scheme_of(uri.strip()) in TRACKED else None


def fetch_beside(
    process: StoreProcess | None, uri: str, into: Path, *, expected_sha256: str | None, context: RunContext
) -> Fetched:
    """Fetch a checkpoint, in the process if MLflow has it; see :func:`~gaitway_runtime.fetch.fetch`."""
    from ..fetch import fetch

    return beside(for_address(process, uri), fetch, uri, into, expected_sha256=expected_sha256, context=context)


def serve(pipe: Connection) -> None:
    """Do what the job asks for until it ends."""
    store: RunStore | None = None
    while True:
        number, method, arguments = pipe.recv()
        result, failure = None, None
        try:
            if method == "begin":
                header, folder, owner = arguments
                store = RunStore(header, folder, owner=owner)
            elif method == "call":
                result = attempt(*arguments)
            else:
                result = attempt(lambda: getattr(store, method)(*arguments))  # noqa: B023 - called at once
        except (GaitwayError, StoreFailure) as error:
            failure = _portable(error)
        known = (store.header, store.url) if store else (None, "")
        pipe.send((number, failure, result, *known))


def _portable(error: GaitwayError | StoreFailure) -> Exception:
    """Return an error as it can travel: what a library has put into it may not."""
    try:
        call_foreign(lambda: pickle.loads(pickle.dumps(error)))
    except ForeignError:
        kind = error.kind if isinstance(error, StoreFailure) else Failure.AWAY
        return StoreFailure(kind, RuntimeError(str(error)))
    return error


def _get_ready(uri: str) -> None:
    """Do what the first question to a store takes longest for, before it is asked."""
    database = database_path(uri)
    if database is not None and database.is_file():
        with contextlib.suppress(GaitwayError, StoreFailure):  # is said when the run is opened
            attempt(lambda: open_client(uri).search_experiments(max_results=1))


def main(descriptor: str, uri: str) -> None:
    """Serve a job.

    Args:
        descriptor: Of the pipe to the job.
        uri: Tracking URI of the store.
    """
    scrub_output()
    log_to_output()
    stop_with_parent()
    _get_ready(uri)
    with contextlib.suppress(EOFError, OSError), Connection(int(descriptor)) as pipe:
        serve(pipe)
    os._exit(0)  # MLflow's own end takes a second


if __name__ == "__main__":
    main(*sys.argv[1:])
