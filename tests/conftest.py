"""What every test may count on: an empty home of its own, nothing of the caller's environment, golden files."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from gaitway_runtime.__main__ import THREAD_ENVIRONMENT

# Read when a numerical library is loaded: the threads of two workers that wait by spinning keep each other from work.
os.environ |= THREAD_ENVIRONMENT

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("gaitway", deadline=None)
hypothesis.settings.load_profile("gaitway")

# A shell that starts the tests in the background leaves SIGINT ignored; the commands that are interrupted here would
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Read when ONNX Runtime is loaded, and only then: a test that loads it itself would have this process call its makers,
# at any later time and through whatever proxy another test has set by then.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

ROOT = Path(__file__).parents[1]
GOLDENS = Path(__file__).parent / "goldens"
MLFLOW_DEFAULTS = ("mlflow.db", "mlruns", "mlartifacts")
"""What MLflow writes to the current folder where nobody names a store."""
UPDATE = "--update-goldens"
APART = ("isaaclab", "warp_physics")
"""Folders of tests that need a large installation of their own, and minutes."""

INHERITED_PREFIXES = ("AZURE", "GAITWAY_", "MLFLOW_", "OSMO_", "TF_", "GIT_")


def _variables_gaitway_reads() -> set[str]:
    from gaitway.all_settings import scopes
    from gaitway.settings.resolve import declared

    known = [item for cls in scopes().values() for item in declared([cls]).values()]
    return {name for item in known for name in (*item.variables, *item.info.env)}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide every variable that gaitway would read from the one who runs the tests."""
    names = _variables_gaitway_reads() | {name for name in os.environ if name.startswith(INHERITED_PREFIXES)}
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the test's own ``GAITWAY_HOME``; it does not exist yet."""
    folder = tmp_path / "gaitway-home"
    monkeypatch.setenv("GAITWAY_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def checkout_left_alone() -> Iterator[None]:
    """Name the test, or one beside it, during which MLflow's own default store appears in the checkout."""
    before = {name for name in MLFLOW_DEFAULTS if (ROOT / name).exists()}
    yield
    assert not [name for name in MLFLOW_DEFAULTS if name not in before and (ROOT / name).exists()]


@pytest.fixture
def signals_as_before() -> Iterator[None]:
    """Give back the handlers of this process after a test of something that installs its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave what stands apart to those who name it: ``make test-isaaclab``, ``make test-warp``."""
    name, here = collection_path.name, collection_path.parent == Path(__file__).parent
    if here and name in APART and not any(name in Path(asked).parts for asked in config.args):
        return True
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(UPDATE, action="store_true", help="write generated files (make regenerate)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that compare a generated file with what generates it; begin with the files that take longest."""
    for item in items:
        if "generated" in getattr(item, "fixturenames", ()):
            item.add_marker("generated")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def generated(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Return a function that compares a generated file with its text, or writes it under ``--update-goldens``."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption(UPDATE):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        wanted = path.read_text(encoding="utf-8") if path.exists() else ""
        assert text == wanted, f"{path} is out of date: make regenerate, then look at git diff"

    return compare


@pytest.fixture
def golden(generated: Callable[[Path, str], None]) -> Callable[[str, str], None]:
    """Return a function that compares a text with the golden file of a name, for example ``help/train.txt``."""
    return lambda name, text: generated(GOLDENS / name, text)
