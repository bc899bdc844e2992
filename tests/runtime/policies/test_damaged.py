"""Whatever is wrong with a checkpoint or the configuration beside it, the answer is a policy or a sentence."""

import copy
import tempfile
from pathlib import Path

import pytest
import torch
import yaml
from gaitway_runtime.policies.marker import MARKER_KEY
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.spec.errors import UsageError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .samples import CASES, CHECKPOINTS

ORIGINALS = {case: torch.load(CHECKPOINTS / case / "model.pt", map_location="cpu", weights_only=True) for case in CASES}
CONFIGS = {
    case: yaml.safe_load((CHECKPOINTS / case / "params" / "agent.yaml").read_text().replace("!!python/tuple", ""))
    for case in CASES
}

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
tensors = st.lists(st.integers(0, 17), max_size=4).map(torch.zeros)
marks = st.fixed_dictionaries({MARKER_KEY: st.dictionaries(st.sampled_from(["activation", "contract"]), plain)})
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def spots(tree, prefix=()):
    """Every path into a nest of dictionaries and lists."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        if prefix or key not in ("optimizer_state_dict", "optimizer", "critic_state_dict", "value"):
            yield (*prefix, key)
            yield from spots(value, (*prefix, key))


def damaged(tree, data, values):
    """The nest with one thing replaced, removed or given another name."""
    tree = copy.deepcopy(tree)
    *path, last = data.draw(st.sampled_from(list(spots(tree))))
    holder = tree
    for key in path:
        holder = holder[key]
    how = data.draw(st.sampled_from(["replace", "remove", "rename"]))
    if how == "replace" or isinstance(holder, list):
        holder[last] = data.draw(values)
    elif how == "remove":
        del holder[last]
    else:
        holder[data.draw(st.integers() | st.text(max_size=6))] = holder.pop(last)
    return tree


def read(content, config, activation: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        torch.save(content, path)
        if config is not None:
            (path.parent / "agent.yaml").write_text(yaml.safe_dump(config))
        try:
            policy = read_checkpoint(path, activation=activation)
        except UsageError as error:
            assert error.message and error.source
        else:
            assert policy(torch.zeros(2, policy.observation_size)).shape == (2, policy.action_size)


@pytest.mark.parametrize(
    "case", ["rsl_rl-2.3.3-normalized", "rsl_rl-3.1.2-lstm", "rsl_rl-5.5.1-gru", "skrl-2.1.1-shared"]
)
@quick
@given(st.data())
def test_a_damaged_checkpoint(case: str, data: st.DataObject) -> None:
    content = damaged(ORIGINALS[case], data, plain | tensors | marks)
    read(content, CONFIGS[case] if data.draw(st.booleans()) else None, data.draw(st.sampled_from([None, "elu"])))


@pytest.mark.parametrize("case", ["rsl_rl-3.1.2-state_std", "rsl_rl-5.5.1-beta", "skrl-1.4.3-separate"])
@quick
@given(st.data())
def test_a_damaged_configuration(case: str, data: st.DataObject) -> None:
    config = damaged(CONFIGS[case], data, plain)
    read(ORIGINALS[case], config, data.draw(st.sampled_from([None, "elu"])))
