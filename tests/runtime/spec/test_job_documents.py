"""Whatever a job's document has become on its way, the answer is a job or a sentence."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.spec.job import JOB_KINDS, TrainJob
from gaitway_runtime.spec.job_document import from_document, load, to_document
from gaitway_runtime.spec.run_context import RunContext
from hypothesis import given, settings
from hypothesis import strategies as st

CONTEXT = RunContext(run="walker-1", run_id="0123", tags={"gaitway.payload_sha256": "0" * 64})
WHOLE = {kind: json.loads(json.dumps(to_document(cls(), CONTEXT))) for kind, cls in JOB_KINDS.items()}
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


def holders(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a nest of dictionaries and lists."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, key
        if isinstance(value, dict | list):
            yield from holders(value)


@st.composite
def changed(draw: st.DrawFn) -> Any:
    """A job's document with a few things replaced, removed or given another name."""
    document = copy.deepcopy(WHOLE[draw(st.sampled_from(sorted(WHOLE)))])
    for _ in range(draw(st.integers(1, 3))):
        places = list(holders(document))
        if not places:
            return draw(PLAIN)
        holder, key = draw(st.sampled_from(places))
        how = draw(st.sampled_from(["replace", "remove", "rename"]))
        if how == "replace":
            holder[key] = draw(PLAIN)
        elif how == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(st.text(max_size=8))] = holder.pop(key)
    return document


@settings(max_examples=400, deadline=None)
@given(changed() | PLAIN)
def test_a_changed_document_is_a_job_or_refused(document: Any) -> None:
    try:
        job, context = from_document(document)
    except UsageError as error:
        text = "\n".join(error.lines())
        assert text.encode() and len(error.message) < 300
    else:
        again = json.loads(json.dumps(to_document(job, context), allow_nan=False))
        assert from_document(again) == (job, context)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_file_with_changed_bytes_is_a_job_or_refused(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    content = bytearray(json.dumps(WHOLE["train"]).encode())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "job.json"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        load(path)
    except UsageError as error:
        assert error.source


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"context": {"tags": {"a": 1}}}, "'context.tags.a' is not a text"),
        ({"context": {"azure": []}}, "this is not an object with fields of AzureContext: []"),
        ({"context": {"tags": []}}, "the run's tags are not an object"),
        ({"context": 5}, "the run's context is not an object: 5"),
        ({"context": {"run": 7}}, "'context.run' is not a text"),
        ({"kind": ["train"]}, "unknown job kind ['train']"),
        ({"job": 3}, "this is not an object with fields of TrainJob: 3"),
        ({"job": {"task": "T\ud800"}}, r"a text holds what is no character: 'T\ud800'"),
        ({"job": {"task": ["T" * 500]}}, "task is not a text: ('TTTTT"),
        ({"job": {"evaluation_share": 10**400}}, "evaluation share is not a finite number: 10000"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        from_document({**to_document(TrainJob(), CONTEXT), **change})
    assert refused.value.message.startswith(said)


def test_a_document_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"schema": 1, "kind": "train", "job": ' + "[" * 100_000)
    with pytest.raises(UsageError, match="not JSON"):
        load(tmp_path / "job.json")
