"""What differs between two runs or two policies."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.browser import open_page
from gaitway_runtime.spec.errors import UsageError

from gaitway.comparison import Side, compare_sides, contract_changes, find_side
from gaitway.ledger import Ledger
from gaitway.run_handle import Run

Start = Callable[..., Run]
GAMMA = "agent.algorithm.gamma"
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
    found = compare_sides(a, b)
    assert found.metrics is not None
    pairs = {row.metric: (*row.values, row.difference) for row in found.metrics}
    assert pairs == {
        "mean_reward": (20.0, 23.5, 3.5),
        "parity.max_abs_error": (1e-7, None, None),
        "only": (None, 1, None),
    }


def test_what_only_one_has_is_not_called_a_difference() -> None:
    found = compare_sides(Side(name="a", metrics={"x": 1.0}, contract=CONTRACT), Side(name="b"))
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
    found = contract_changes([CONTRACT, changed(path, value)])
    assert (what, (before, after)) in [(row.what, row.values) for row in found]


@pytest.mark.parametrize("path", ["source.run", "robot.model_sha256"])
def test_where_a_contract_comes_from_is_no_difference(path: str) -> None:
    assert contract_changes([CONTRACT, changed(path, "other")]) == ()


def test_two_runs_are_compared_by_their_settings_and_payload(
    gaitway: Callable, start: Start, tmp_path: Path, home: Path
) -> None:
    start(name="a", seed=1).wait()
    start(name="b", seed=2).wait()
    ran = gaitway("compare", "a", "b", "--json")
    assert ran.code == 0
    assert [change for change in ran.json["settings"] if change["what"] == "seed"] == [
        {"what": "seed", "values": ["1", "2"], "before": "1", "after": "2"}
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
    assert find_side("a", Ledger(home)).history["Train/mean_reward"] == [(3, 1.5)]


def test_exported_policies_are_compared_by_their_contracts(gaitway: Callable, tmp_path: Path) -> None:
    for name, document in (("a", CONTRACT), ("b", changed("observations.1.scale", 1.0))):
        (tmp_path / name / "exported").mkdir(parents=True)
        (tmp_path / name / "exported" / "contract.json").write_text(json.dumps(document))
        (tmp_path / name / "exported" / "policy.onnx").write_bytes(b"")
    ran = gaitway("compare", str(tmp_path / "a"), str(tmp_path / "b" / "exported" / "policy.onnx"), "--json")
    (row,) = ran.json["contract"]
    assert (row["what"], row["values"]) == ("observations.joint_vel.scale", ["0.2", "1.0"])
    assert ran.json["metrics"] is None


def test_a_place_without_a_policy_is_a_sentence(tmp_path: Path, home: Path) -> None:
    with pytest.raises(UsageError, match="no policy contract"):
        find_side(str(tmp_path), Ledger(home))
    (tmp_path / "contract.json").write_text("[]")
    with pytest.raises(UsageError, match="no policy contract"):
        find_side(str(tmp_path / "contract.json"), Ledger(home))
    with pytest.raises(UsageError, match="there is no run 'nothing'"):
        find_side("nothing", Ledger(home))


def test_runs_that_differ_in_their_seed_alone_are_one_group(gaitway: Callable, start: Start) -> None:
    for name, seed, asked in (("a", 1, f"{GAMMA}=0.9"), ("b", 2, f"{GAMMA}=0.9"), ("c", 1, f"{GAMMA}=0.95")):
        start(asked, name=name, seed=seed).wait()
    ran = gaitway("compare", "a", "b", "c", "--json")
    assert ran.json["groups"] == [["a", "b"], ["c"]]
    assert [run["name"] for run in ran.json["runs"]] == ["a", "b", "c"]
    text = gaitway("compare", "a", "b", "c").out
    assert "the same but for their seed: a, b" in text
    assert ["--set", GAMMA, "0.9", "0.9", "0.95"] in [line.split() for line in text.splitlines()]


def test_a_tuned_reward_is_shown_by_compare_and_by_the_next_plan(gaitway: Callable, stand_in: list[str]) -> None:
    key, walk = "env.rewards.feet_air_time.weight", "Isaac-Velocity-Flat-Anymal-C-v0"
    begin = ["train", *stand_in[:2], "--task", walk]
    assert gaitway(*begin, "--name", "a").code == 0
    assert gaitway(*begin, "--set", f"{key}=2").code == 0
    tuned = "isaac-velocity-flat-anymal-c-v0-1"
    (row,) = [row for row in gaitway("compare", "a", tuned, "--json").json["settings"] if key in row["what"]]
    assert (row["what"], row["values"]) == (f"--set {key}", [None, "2"])
    third = [*begin, "--set", f"{key}=3", "--set", "env.episode_length_s=10", "--dry-run"]
    plan = " ".join(gaitway(*third).out.split())
    assert f"--set {key} 2 → 3" in plan
    assert "--set env.episode_length_s not set → 10" in plan


def judged(start: Start, name: str, rewards: list[float], threshold: float = 0.0) -> None:
    run = start(name=name)
    run.wait()
    (run.run_dir / "outputs" / "metrics").mkdir()
    document = {"reward": rewards, "success": [reward > threshold for reward in rewards]}
    (run.run_dir / "outputs" / "metrics" / "episodes.json").write_text(json.dumps(document))


def test_a_policy_that_got_worse_ends_with_exit_code_1_and_the_interval(gaitway: Callable, start: Start) -> None:
    judged(start, "before", [10 + 0.1 * (n % 7) for n in range(60)])
    judged(start, "worse", [9 + 0.1 * (n % 7) for n in range(60)])
    judged(start, "same", [10 + 0.1 * ((n + 3) % 7) for n in range(60)])
    ran = gaitway("compare", "--regression-of", "before", "worse", "--json")
    assert ran.code == 1
    assert "worse is significantly worse than before in reward: 9.29 against 10.29, a difference of -1" in ran.err
    reward = ran.json["regression"]["worse"][0]
    assert reward["low"] < -1 < reward["high"] < 0
    fine = gaitway("compare", "--regression-of", "before", "same")
    assert fine.code == 0
    assert "same is not significantly worse than before in reward" in fine.err


def test_episodes_that_nobody_played_are_asked_for_by_a_command(gaitway: Callable, start: Start) -> None:
    judged(start, "before", [1.0, 2.0])
    start(name="after").wait()
    ran = gaitway("compare", "--regression-of", "before", "after")
    assert ran.code == 2
    assert "gaitway validate --task Isaac-Cartpole-v0 --checkpoint-uri after@latest" in ran.err


def test_the_page_holds_curves_with_a_band_tables_and_films(gaitway: Callable, start: Start, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2), ("c", 1)):
        run = start(*([f"{GAMMA}=0.9"] if name == "c" else []), name=name, seed=seed)
        run.wait()
        outputs = run.run_dir / "outputs"
        rewards = [json.dumps({"step": step, "metrics": {"Episode_Reward/alive": step * seed}}) for step in range(5)]
        (outputs / "metrics.jsonl").write_text("\n".join(rewards) + "\n")
        (outputs / "videos").mkdir()
        (outputs / "videos" / "walk.mp4").write_bytes(b"film")
    path = tmp_path / "compare.html"
    assert gaitway("compare", "a", "b", "c", "--page", str(path)).code == 0
    assert gaitway("compare", "a", "b", "--page", str(tmp_path / "compare.pdf")).code == 2
    document = json.loads(path.read_text().split('id="document">')[1].split("</script>")[0])
    assert document["groups"] == ["a (2 seeds)", "c"]
    assert document["curves"]["Episode_Reward/alive"][0]["points"][2] == [2, 3, 2, 4], "iteration, mean, least, most"
    assert [film["run"] for film in document["films"]] == ["a", "b", "c"]
    with open_page() as page:
        page.resize(390, 844)
        page.go_offline()
        page.open(path.as_uri())
        page.wait_for("document.querySelectorAll('table').length === 2")
        assert page.evaluate("document.querySelector('#charts figcaption').textContent") == "Episode_Reward/alive"
        assert page.evaluate("document.querySelectorAll('path.band').length") == 1
        assert page.evaluate("document.querySelectorAll('video').length") == 3
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert [address for address in page.requests if not address.startswith(("file:", "data:", "about:"))] == []


def test_one_run_is_no_comparison(gaitway: Callable, start: Start) -> None:
    start(name="a").wait()
    ran = gaitway("compare", "a")
    assert ran.code == 2
    assert "needs two or more" in ran.err
