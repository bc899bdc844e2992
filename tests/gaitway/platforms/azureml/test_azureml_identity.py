"""Identities inside a job's container."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from fakes.azureml import identity
from fakes.azureml.identity import ASSIGNED, Identities
from gaitway_runtime.spec.errors import ConfigError
from gaitway_runtime.stores import azure


@pytest.fixture
def identities(monkeypatch: pytest.MonkeyPatch) -> Iterator[Identities]:
    azure._credential.cache_clear()
    with identity.running() as found:
        yield found
    azure._credential.cache_clear()


@pytest.mark.parametrize(("kind", "asked"), [("Managed", ("managed", ASSIGNED)), ("UserIdentity", ("user", ""))])
def test_a_job_has_a_token_of_its_identity(
    identities: Identities, monkeypatch: pytest.MonkeyPatch, kind: str, asked: tuple[str, str]
) -> None:
    for name, value in identities.environment(kind).items():
        monkeypatch.setenv(name, value)
    assert azure.azure_token("https://storage.azure.com/.default")
    assert identities.asked[-1] == asked


def test_the_users_token_needs_no_package_that_containers_lack(
    identities: Identities, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "azure.ai", None)
    monkeypatch.setenv("OBO_ENDPOINT", identities.environment("UserIdentity")["OBO_ENDPOINT"])
    for _ in range(2):
        assert azure.azure_token("https://storage.azure.com/.default")
    assert identities.asked == [("user", "")], "a token is asked for once in its life"


def test_without_an_identity_the_hint_fits_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_RUN_ID", "a-job")
    azure._credential.cache_clear()
    with pytest.raises(ConfigError) as caught:
        azure.azure_token("https://storage.azure.com/.default")
    assert "az login" not in str(caught.value.hint)
