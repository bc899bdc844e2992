"""What every test may count on: an empty home of its own, and nothing of the caller's environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

INHERITED_PREFIXES = ("AZURE", "GAITWAY_", "MLFLOW_", "OSMO_", "TF_", "GIT_")


def _variables_gaitway_reads() -> set[str]:
    from gaitway_runtime.fields import settings_of
    from gaitway_runtime.job import JOB_KINDS, AzureContext

    return {name for cls in (*JOB_KINDS.values(), AzureContext) for _, info in settings_of(cls) for name in info.env}


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
