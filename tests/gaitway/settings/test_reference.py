"""``docs/settings.md`` says what the declarations say."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from gaitway_runtime.spec.job import JOB_KINDS
from gaitway_runtime.spec.settings import is_setting

import gaitway
from gaitway.all_settings import EVERY_JOB, entries, scopes
from gaitway.settings_reference import keyword_types, tables, with_tables

KEYWORDS = Path(gaitway.__file__).with_name("keywords.py")
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "settings.md"


def test_the_document_holds_the_declarations(generated: Callable[[Path, str], None]) -> None:
    generated(DOCUMENT, with_tables(DOCUMENT.read_text(encoding="utf-8")))


def test_the_keywords_of_the_python_api_are_the_declarations(generated: Callable[[Path, str], None]) -> None:
    generated(KEYWORDS, keyword_types())


def test_every_declared_field_is_in_the_tables() -> None:
    text = tables()
    for cls in scopes().values():
        prefix = getattr(cls, "settings_prefix", "")
        for field in dataclasses.fields(cls):
            if is_setting(field):
                assert f"`{prefix}{field.name}`" in text


SEEDS = """--task -t --num-envs -n --max-iterations -m --image -i --checkpoint-uri -c --checkpoint-mode -M
--register-checkpoint -r --run-smoke-test -s --workflow -w --payload-root -p --sleep-after-unpack --dataset-bucket
--dataset-name --training-path --format --max-steps --video-length --azure-subscription-id --azure-resource-group
--azure-workspace-name"""
VARIABLES = """TASK NUM_ENVS MAX_ITERATIONS IMAGE PAYLOAD_ROOT CHECKPOINT_URI CHECKPOINT_MODE REGISTER_CHECKPOINT
RUN_AZURE_SMOKE_TEST SLEEP_AFTER_UNPACK TRAINING_BACKEND AZURE_SUBSCRIPTION_ID AZURE_RESOURCE_GROUP
AZUREML_WORKSPACE_NAME AZURE_STORAGE_ACCOUNT_NAME OSMO_DATASET_BUCKET OSMO_DATASET_NAME TRAINING_PATH MAX_STEPS
VIDEO_LENGTH INFERENCE_FORMAT WORKFLOW_TEMPLATE"""


def missing_words(words: str, attribute: str) -> list[str]:
    known = {name for entry in entries() for name in getattr(entry.item.info, attribute)}
    return [word for word in words.split() if word not in known]


@pytest.mark.parametrize(("words", "attribute"), [(SEEDS, "flags"), (VARIABLES, "env")])
def test_every_name_the_users_know_is_a_setting(words: str, attribute: str) -> None:
    assert missing_words(words, attribute) == []


def test_what_all_jobs_share_is_one_entry() -> None:
    shared = [entry.item.key for entry in entries() if entry.scope == EVERY_JOB]
    assert "seed" in shared
    assert len(shared) == len(set(shared))
    assert [entry.scope for entry in entries() if entry.item.key == "video_length"] == ["infer, ship"]
    assert set(JOB_KINDS) <= set(scopes())
