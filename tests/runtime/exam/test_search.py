"""The search for conventions: it finds what a policy was trained with, and says so of noise."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import torch
from gaitway_runtime.exam.conventions import ANG_VEL, COMMAND, GRAVITY, LIN_VEL
from gaitway_runtime.exam.evidence import PolicyAnswers, robot_facts
from gaitway_runtime.exam.layouts import BLOCK, arrangements, splits
from gaitway_runtime.exam.search import Searcher
from gaitway_runtime.exam.subject import spec_of, task_for
from gaitway_runtime.exam.trials import Trials
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.simulators.mujoco.models import compile_robot

from gaitway.cli.main import main

from . import strangers
from .strangers import SHUFFLED, Dressing, dressed

PLAIN = tuple(range(12))

DRESSINGS = {
    "as Isaac Lab has it": Dressing(),
    "shuffled joints": Dressing(joints=SHUFFLED),
    "five frames, term by term": Dressing(frames=5, per_term=True),
}


@pytest.mark.parametrize("name", DRESSINGS)
def test_a_policys_answers_tell_its_layout_and_its_joints(name: str) -> None:
    dressing = DRESSINGS[name]
    checkpoint, robot = (strangers.GO2, "go2") if dressing.frames == 1 else (strangers.ANYMAL, "anymal_c")
    task = task_for(robot, None, None, 12)
    policy = dressed(checkpoint, dressing)
    answers = PolicyAnswers(
        policy.act, policy.inputs, robot_facts(compile_robot(task.robot, timestep=0.005), spec_of(task))
    )
    layouts = [each for frames, terms in splits(policy.inputs, 12) for each in arrangements(frames, terms, 12)]
    found = answers.read(layouts, keep=8)
    first = found[0]
    assert first.arrangement.terms == (LIN_VEL, ANG_VEL, GRAVITY, COMMAND, BLOCK, BLOCK, BLOCK)
    assert (first.arrangement.frames, first.arrangement.per_frame) == (dressing.frames, not dressing.per_term)
    assert first.upright.gravity == -1.0
    assert tuple(dressing.joints) in {reading.joints for reading in found}


def test_an_onnx_file_that_says_nothing_of_itself_is_understood_and_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dressing = Dressing(joints=SHUFFLED, halved=True, frames=5)
    policy = strangers.write_onnx(strangers.ANYMAL, dressing, tmp_path / "policy.onnx")
    code = main(
        [
            "exam",
            str(policy),
            "--robot",
            "anymal_c",
            "--no-sweep",
            "--no-film",
            "--json",
            "-o",
            str(tmp_path / "card"),
        ]
    )
    said = json.loads(capsys.readouterr().out)
    assert (code, said["gate"], said["passed"]) == (0, "gate met", True)
    found = {entry["convention"]: entry["found"] for entry in said["conventions"]["decisions"]}
    assert found["action scale"] == "1 rad"
    assert found["history"] == "5 frames, frame by frame, oldest first"
    assert found["gravity"] == "(0, 0, -1) upright"
    assert found["last action"] == "raw output"
    contract = json.loads((tmp_path / "card" / "contract.json").read_text())
    names = spec_of(task_for("anymal_c", None, None, 12)).joint_names
    assert contract["actions"][0]["joint_names"] == [names[joint] for joint in SHUFFLED]
    page = (tmp_path / "card" / "exam.html").read_text()
    assert 'class="pill pass">Gate met' in page
    assert "no sensor of a robot measures" in page


def test_what_is_assumed_of_a_checkpoint_is_told_and_stands_in_its_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing beside the weights says that their outputs are not squashed, and the verdict is of what is assumed."""
    saved = torch.load(strangers.ANYMAL, map_location="cpu", weights_only=True)
    torch.save({**saved, "infos": None}, tmp_path / "model_194.pt")
    contract = read_checkpoint(strangers.ANYMAL).contract
    assert contract is not None
    (tmp_path / "contract.json").write_text(contract.to_json())
    words = ["exam", str(tmp_path / "model_194.pt"), "--activation", "elu", "--no-sweep", "--no-film"]
    main([*words, "-o", str(tmp_path / "card")])
    told = capsys.readouterr().out
    assert "assumed: nothing beside the checkpoint says how it was trained" in told
    document = json.loads((tmp_path / "card" / "exam.json").read_text())
    assert len(document["assumptions"]) == 1
    assert "nothing beside the checkpoint says" in (tmp_path / "card" / "exam.html").read_text()


def test_noise_walks_under_no_convention() -> None:
    task = task_for("anymal_c", None, None, 12)
    spec, policy = spec_of(task), strangers.noise()
    facts = robot_facts(compile_robot(task.robot, timestep=0.005), spec)
    with contextlib.closing(Trials(task, spec, policy, 12, scan=False, budget=4.0)) as trials:
        found = Searcher(PolicyAnswers(policy.act, 48, facts), trials, spec, (0.5,) * 12, 48).run()
    assert not found.walks
    assert not found.complete


def test_the_simulators_own_order_of_terms_is_an_arrangement() -> None:
    (frames, terms), *_ = splits(48, 12)
    assert frames == 1
    assert any(each.terms == (*terms, BLOCK, BLOCK, BLOCK) for each in arrangements(frames, terms, 12))
    assert {(frames, len(terms)) for frames, terms in splits(225, 12)} == {(5, 3)}
    assert splits(1001, 12) == []
