"""An address with a credential in it: what is written down, and how the runtime gets it back."""

import pytest
from gaitway_runtime.spec.job_document import from_environment
from gaitway_runtime.spec.secrets import SECRET_URI, public_form, restore
from hypothesis import given
from hypothesis import strategies as st

BLOB = "https://acct.blob.core.windows.net/c/model.pt"


@pytest.mark.parametrize(
    ("uri", "public"),
    [
        (BLOB, BLOB),
        (f"{BLOB}?sv=1&sp=r&sig=abc%2B", BLOB),
        (f"{BLOB}?sv=1&sig=a?b#c", BLOB),
        (f"{BLOB}?snapshot=2026-01-01T00:00:00Z", f"{BLOB}?snapshot=2026-01-01T00:00:00Z"),
        (f"{BLOB}?snapshot=2026&sig=abc", BLOB),
        (f"{BLOB}?justatoken", BLOB),
        ("https://user:password@host:8443/model.pt", "https://host:8443/model.pt"),
        ("https://user:p@ss@host/model.pt?raw=true", "https://host/model.pt?raw=true"),
        ("https://host/model.pt#token=abc", "https://host/model.pt"),
        ("acct.blob.core.windows.net/c/model.pt?sig=abc", "acct.blob.core.windows.net/c/model.pt"),
        ("https://[broken/model.pt?sig=abc", "https://[broken/model.pt"),
        ("runs:/abc/checkpoints/final", "runs:/abc/checkpoints/final"),
        ("models:/name@best", "models:/name@best"),
        ("anymal-3@latest", "anymal-3@latest"),
        ("out/run#1/model.pt", "out/run#1/model.pt"),
    ],
)
def test_the_public_form_has_no_credential(uri: str, public: str) -> None:
    assert public_form(uri) == public
    assert restore(public, {SECRET_URI: uri}) == uri


def test_another_checkpoint_does_not_get_the_credential() -> None:
    environ = {SECRET_URI: f"{BLOB}?sig=abc"}
    assert restore(BLOB.replace("model", "other"), environ) == BLOB.replace("model", "other")
    assert restore(BLOB, {}) == BLOB


@given(st.text())
def test_the_public_form_is_stable_and_never_raises(uri: str) -> None:
    assert public_form(public_form(uri)) == public_form(uri)


def test_a_job_from_the_environment_holds_the_public_form_and_finds_the_whole() -> None:
    environ = {"JOB_KIND": "infer", "CHECKPOINT_URI": f"{BLOB}?sig=abc"}
    job = from_environment(environ)
    assert job.checkpoint_uri == BLOB
    assert restore(job.checkpoint_uri, environ) == environ["CHECKPOINT_URI"]
