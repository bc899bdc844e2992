"""A robot's recorded steps, made once."""

from types import SimpleNamespace

import pytest

from .samples import record


@pytest.fixture(scope="package")
def recorded() -> SimpleNamespace:
    """A Go2 in the embedded simulator under random actions: what its sensors say in each step."""
    return record()
