"""What is an address of a checkpoint, and what is not."""

import string
from pathlib import Path

import pytest
from gaitway_runtime.fetch import parse, safe_name
from gaitway_runtime.fetch.blob import BlobAddress
from gaitway_runtime.fetch.http import HttpAddress
from gaitway_runtime.fetch.local import LocalAddress
from gaitway_runtime.fetch.models import ModelsAddress
from gaitway_runtime.fetch.runs import RunsAddress
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.spec.job import model_name_for
from gaitway_runtime.tracking.registry import check_model_name
from hypothesis import given, settings
from hypothesis import strategies as st

RUN = "b906b426-078e-4539-b907-aecb3121a76d"
BLOB = "https://stosmorbt3dev001.blob.core.windows.net/azureml/checkpoints/model.pt"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (f"runs:/{RUN}/checkpoints/final/model_99.pt", RunsAddress(RUN, "checkpoints/final/model_99.pt")),
        (f" runs:/{RUN}//checkpoints/final/ ", RunsAddress(RUN, "checkpoints/final")),
        (f"runs:/{RUN}", RunsAddress(RUN, "")),
        ("runs:/jolly_bird_7/checkpoints", RunsAddress("jolly_bird_7", "checkpoints")),
        ("models:/anymal-rough-terrain/1", ModelsAddress("anymal-rough-terrain", "1", None, "")),
        ("models:/anymal-rough-terrain/LATEST", ModelsAddress("anymal-rough-terrain", "latest", None, "")),
        ("models:/my model@best", ModelsAddress("my model", None, "best", "")),
        ("models:/m/3/model_99.pt", ModelsAddress("m", "3", None, "model_99.pt")),
        (BLOB, BlobAddress(BLOB)),
        (f"{BLOB}?sv=1&sig=a", BlobAddress(f"{BLOB}?sv=1&sig=a")),
        ("https://example.com/models/policy.pt", HttpAddress("https://example.com/models/policy.pt")),
        ("http://127.0.0.1:8000/p.pt?raw=1", HttpAddress("http://127.0.0.1:8000/p.pt?raw=1")),
        ("file:///tmp/a%20b.pt", LocalAddress(Path("/tmp/a b.pt"))),
        ("file:/tmp/a.pt", LocalAddress(Path("/tmp/a.pt"))),
        ("logs/model_99.pt", LocalAddress(Path("logs/model_99.pt"))),
        ("~/model_99.pt", LocalAddress(Path("~/model_99.pt").expanduser())),
        ("C:model.pt", LocalAddress(Path("C:model.pt"))),
    ],
)
def test_what_the_documents_name_is_understood(text: str, address: object) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "a\x00b",
        "x" * 5000,
        "runs:",
        "runs:/",
        "runs://profile@host/abc/x",
        f"runs:/{RUN}/../other",
        f"runs:/{RUN}/a/%2e%2e/b",
        f"runs:/{RUN}/a/%252e%252e/b",
        f"runs:/{RUN}/a\\..\\b",
        "runs:/../x",
        "models:/",
        "models:/name",
        "models:/name/Production",
        "models:/na'me/1",
        "models:/name/1/../2",
        "http://",
        "https://[broken/x.pt",
        "https://host:99999/x",
        "https://ho st/x",
        "https://acct1.blob.core.windows.net/container",
        "http://acct1.blob.core.windows.net/c/model.pt",
        "https://user@acct1.blob.core.windows.net/c/model.pt",
        "https://acct1.blob.core.windows.net/c/../d/model.pt",
        "file://server/share/model.pt",
        "file:relative.pt",
        "s3://bucket/model.pt",
        "azureml://jobs/x/outputs/y",
        "ftp://host/model.pt",
    ],
)
def test_everything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.exit_code == 2


PIECES = "runs: models: file: http: https: / // .. %2e @ latest ?sig= # [ ] : \\ é 1 99999999 a model_9.pt localhost"
URI_PIECES = st.sampled_from([*PIECES.split(" "), "acct1.blob.core.windows.net", " ", "\x00"])


@settings(max_examples=2000, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(URI_PIECES, max_size=12).map("".join)))
def test_parsing_raises_nothing_but_the_projects_error(text: str) -> None:
    try:
        parse(text)
    except UsageError as error:
        assert error.lines()


TASKS = st.one_of(st.text(max_size=80), st.text(alphabet=string.ascii_letters + string.digits + "-_ .", max_size=300))


@settings(max_examples=2000, deadline=None)
@given(TASKS)
def test_a_models_name_derived_from_a_task_is_valid_or_refused(task: str) -> None:
    try:
        name = check_model_name(model_name_for(task))
    except UsageError:
        return
    assert ModelsAddress.parse(f"models:/{name}/1") == ModelsAddress(name, "1", None, "")
    assert name == name.lower().strip("-")
    assert "--" not in name


@settings(max_examples=2000, deadline=None)
@given(st.text(max_size=300))
def test_a_servers_file_name_is_made_harmless(name: str) -> None:
    plain = safe_name(name)
    assert Path(plain).name == plain
    assert not plain.startswith(".")
    assert len(plain) <= 120


@pytest.mark.parametrize(
    "text",
    [
        "runs:/<run-id>/checkpoints/final",
        "models:/<model_name>/1",
        "https://<account>.blob.core.windows.net/<container>/<path>",
    ],
)
def test_the_placeholder_of_an_example_is_called_that(text: str) -> None:
    with pytest.raises(UsageError, match=r"has the placeholder of an example in it: <[a-z_-]+>\Z") as refused:
        parse(text)
    assert (refused.value.source, refused.value.hint) == (text, "gaitway checkpoints lists addresses ready to paste")
