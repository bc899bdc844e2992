"""Texts that leave the program hold no secret, known by its form or by its characters."""

import logging

import pytest
from gaitway_runtime.spec.secrets import ScrubbingFormatter, names_a_secret, scrub

BLOB = "https://acct.blob.core.windows.net/c/m.pt"


@pytest.mark.parametrize(
    "text",
    [
        f"GET {BLOB}?sv=2026-10-06&sr=b&sig=planted%2Bsecret failed",
        f"'{BLOB}?planted-secret'",
        "connect to https://user:planted-secret@host:5000/path",
        "AccountName=acct;AccountKey=planted-secret==;EndpointSuffix=x",
        "Authorization: Bearer planted-secret.eyJ0",
        "client_secret=planted-secret&grant_type=x",
        "sig=planted-secret",
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str) -> None:
    assert "planted" not in scrub(text, {})
    assert "***" in scrub(text, {})


def test_ordinary_texts_stay_as_they_are() -> None:
    for text in (
        "View run at: https://ml.azure.com/runs/a-1?wsid=/subscriptions/s/resourceGroups/g&tid=t",
        f"{BLOB}?snapshot=2026-01-01T00:00:00Z",
        "runs:/b906b426/checkpoints/final/model_99.pt",
        "num_envs = 2048 from env NUM_ENVS",
        "tokens per second: 12",
    ):
        assert scrub(text, {"NUM_ENVS": "2048", "MLFLOW_TRACKING_TOKEN": ""}) == text


def test_the_environments_own_secrets_are_known_by_their_characters() -> None:
    environ = {
        "AZURE_CLIENT_SECRET": "Pl4nted~secret",
        "CHECKPOINT_URI": f"{BLOB}?sv=1&sig=planted%2Bsignature%3D",
        "MLFLOW_TRACKING_URI": "https://me:planted-password-long@host",
        "MLFLOW_TRACKING_TOKEN": "short",
        "HOME": "/home/planted",
    }
    text = (
        "a Pl4nted~secret b planted%2Bsignature%3D c planted+signature= d planted-password-long e short f /home/planted"
    )
    assert scrub(text, environ) == "a *** b *** c *** d *** e short f /home/planted"


def test_a_log_line_and_its_traceback_are_scrubbed() -> None:
    try:
        raise ValueError(f"{BLOB}?sig=planted")
    except ValueError as error:
        trace = (type(error), error, error.__traceback__)
    record = logging.LogRecord("a", logging.INFO, "f", 1, "got %s", (f"{BLOB}?sig=planted",), trace)
    line = ScrubbingFormatter("%(levelname)s | %(message)s").format(record)
    assert line.startswith(f"INFO | got {BLOB}?***\nTraceback")
    assert "planted" not in line


def test_a_name_tells_a_secret() -> None:
    for name in ("AZURE_CLIENT_SECRET", "MLFLOW_TRACKING_PASSWORD", "storage_account_key", "HF_TOKEN", "blob_sas"):
        assert names_a_secret(name)
    for name in ("AZURE_FEDERATED_TOKEN_FILE", "MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES", "azure_client_id", "TASK"):
        assert not names_a_secret(name)
