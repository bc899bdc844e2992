"""What differs between two runs or two policies."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from gaitway_runtime.errors import UsageError

from gaitway.comparing import Side, compare, contract_changes, find_side
from gaitway.handles import Run
from gaitway.ledger import Ledger

Start = Callable[..., Run]
CONTRACT = {
    "task": "Isaac-Ant-v0",
    "observations": [
        {"name": "base_lin_vel", "start": 0, "scale": 1.0},
        {"name": "joint_vel", "start": 3, "scale": 0.2},
    ],
    "robot": {"joint_names": ["a", "b", "c"], "model_sha256": "00"},
    "source": {"run": "1"},
}


def changed(path: str, value: object) -> dict:
    document = json.loads(json.dumps(CONTRACT))
    place = document
    *steps, last = path.split(".")
    for step in steps:
        place = place[int(step)] if step.isdigit() else place[step]
    place[last] = value
    return document


def test_numbers_stand_side_by_side_with_their_difference() -> None:
    a = Side(name="a", metrics={"mean_reward": 20.0, "parity": {"max_abs_error": 1e-7}, "passed": True, "task": "x"})
    b = Side(name="b", metrics={"mean_reward": 23.5, "only": 1})
    found = compare(a, b)
    assert found.metrics is not None
    pairs = {pair.metric: (pair.a, pair.b, pair.difference) for pair in found.metrics}
    assert pairs == {
        "mean_reward": (20.0, 23.5, 3.5),
        "parity.max_abs_error": (1e-7, None, None),
        "only": (None, 1, None),
    }


def test_what_only_one_has_is_not_called_a_difference() -> None:
    found = compare(Side(name="a", metrics={"x": 1.0}, contract=CONTRACT), Side(name="b"))
    assert (found.metrics, found.settings, found.files, found.contract) == (None, None, None, None)


@pytest.mark.parametrize(
    ("path", "value", "what", "before", "after"),
    [
        ("observations.1.scale", 1.0, "observations.joint_vel.scale", "0.2", "1.0"),
        ("observations.0.name", "lin_vel", "observations", "[0] base_lin_vel", "[0] lin_vel"),
        ("robot.joint_names", ["a", "c", "b"], "robot.joint_names", "[1] b, [2] c", "[1] c, [2] b"),
        ("robot.joint_names", ["a"], "robot.joint_names", '["a", "b", "c"]', '["a"]'),
        ("task", "Isaac-Humanoid-v0", "task", "Isaac-Ant-v0", "Isaac-Humanoid-v0"),
    ],
)
def test_a_contracts_differences_are_named_by_term(
    path: str, value: object, what: str, before: str, after: str
) -> None:
    found = contract_changes(CONTRACT, changed(path, value))
    assert (what, before, after) in [(change.what, change.before, change.after) for change in found]


@pytest.mark.parametrize("path", ["source.run", "robot.model_sha256"])
def test_where_a_contract_comes_from_is_no_difference(path: str) -> None:
    assert contract_changes(CONTRACT, changed(path, "other")) == ()


def test_two_runs_are_compared_by_their_settings_and_payload(
    gaitway: Callable, start: Start, tmp_path: Path, home: Path
) -> None:
    start(name="a", seed=1).wait()
    start(name="b", seed=2).wait()
    ran = gaitway("compare", "a", "b", "--json")
    assert ran.code == 0
    assert [change for change in ran.json["settings"] if change["what"] == "seed"] == [
        {"what": "seed", "before": "1", "after": "2"}
    ]
    assert ran.json["payload_files"] == []
    assert (ran.json["a"]["name"], ran.json["b"]["status"]) == ("a", "succeeded")
    text = gaitway("compare", "a", "b").out
    assert "payload: no difference" in text
    assert ["seed", "1", "2"] in [line.split() for line in text.splitlines()]


def test_training_curves_of_two_runs_are_drawn(gaitway: Callable, start: Start, tmp_path: Path) -> None:
    for name in ("a", "b"):
        start(name=name).wait()
    ran = gaitway("compare", "a", "b", "--plot", str(tmp_path / "both.png"))
    assert ran.code == 0
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    assert gaitway("compare", "a", "b", "--plot", str(tmp_path / "both.svg")).code == 2


def test_a_run_that_was_killed_while_it_reported_still_has_a_curve(start: Start, home: Path) -> None:
    run = start(name="a")
    run.wait()
    with (run.run_dir / "outputs" / "progress.jsonl").open("a") as stream:
        stream.write('{"phase": "train", "iter')
    assert find_side("a", Ledger(home)).history == {"reward": [(3, 1.5)]}


def test_exported_policies_are_compared_by_their_contracts(gaitway: Callable, tmp_path: Path) -> None:
    for name, document in (("a", CONTRACT), ("b", changed("observations.1.scale", 1.0))):
        (tmp_path / name / "exported").mkdir(parents=True)
        (tmp_path / name / "exported" / "contract.json").write_text(json.dumps(document))
        (tmp_path / name / "exported" / "policy.onnx").write_bytes(b"")
    ran = gaitway("compare", str(tmp_path / "a"), str(tmp_path / "b" / "exported" / "policy.onnx"), "--json")
    assert ran.json["contract"] == [{"what": "observations.joint_vel.scale", "before": "0.2", "after": "1.0"}]
    assert ran.json["metrics"] is None


def test_a_place_without_a_policy_is_a_sentence(tmp_path: Path, home: Path) -> None:
    with pytest.raises(UsageError, match="no policy contract"):
        find_side(str(tmp_path), Ledger(home))
    (tmp_path / "contract.json").write_text("[]")
    with pytest.raises(UsageError, match="no policy contract"):
        find_side(str(tmp_path / "contract.json"), Ledger(home))
    with pytest.raises(UsageError, match="there is no run 'nothing'"):
        find_side("nothing", Ledger(home))
