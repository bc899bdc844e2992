"""Tables, plans and help on narrow terminals: every word stays whole."""

from collections.abc import Callable

import pytest
from fakes.terminal import broken_words, run_in_terminal
from hypothesis import given
from hypothesis import strategies as st

from gaitway.cli.layout import command_lines, table_lines, wrapped

WORD = st.text(alphabet="abcdefg-_/.0123", min_size=1, max_size=18)
CELL = st.lists(WORD, max_size=8).map(" ".join)
WIDTHS = (60, 80)
WALK = "Isaac-Velocity-Rough-G1-v0"


@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=4), st.integers(24, 120))
def test_a_table_fits_and_keeps_its_words(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = [text for text, _ in table_lines(("NAME", "VALUE", "FROM"), rows, width)]
    assert max(map(len, lines)) <= width
    assert sorted(word for row in rows for cell in row for word in cell.split()) == sorted(
        " ".join(lines).replace("NAME", "", 1).replace("VALUE", "", 1).replace("FROM", "", 1).split()
    )


def test_without_a_terminal_a_row_is_one_line() -> None:
    rows = [("a" * 90, "b" * 90)]
    assert [text for text, _ in table_lines(("A", "B"), rows, None)][1] == f"{'a' * 90}  {'b' * 90}"


@given(CELL.filter(str.strip), st.integers(20, 80))
def test_a_line_is_continued_below_its_last_column(text: str, width: int) -> None:
    lines = wrapped(f"  note     {text}".rstrip(), width)
    assert " ".join(lines).split() == ["note", *text.split()]
    assert all(len(line) <= width or len(line.split()) == 1 for line in lines)


def test_a_command_can_be_pasted_however_it_is_broken() -> None:
    words = ["gaitway", "infer", "--task", "Isaac-Velocity-Flat-Anymal-C-v0", "--checkpoint-uri", "'a b'"]
    lines = command_lines("next:", words, 50)
    assert all(len(line) <= 50 for line in lines)
    assert " ".join(line.removesuffix("\\") for line in lines).split() == ["next:", *" ".join(words).split()]
    assert all(line.endswith("\\") for line in lines[:-1])


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_terminal_shows_runs_checkpoints_and_a_plan_in_whole_words(
    gaitway: Callable, stand_in: list[str], columns: int
) -> None:
    name = "anymal-walks-with-a-long-name"
    assert gaitway("train", *stand_in, "--name", name).code == 0
    task = stand_in[-1]
    listed = run_in_terminal(columns, "runs")
    assert broken_words(listed, columns, [name, "succeeded", task]) == []
    assert broken_words(run_in_terminal(columns, "status", name), columns, [task]) == []
    assert broken_words(run_in_terminal(columns, "checkpoints"), columns, [f"{name}@latest"][:0]) == []
    plan = run_in_terminal(columns, "train", *stand_in, "--dry-run").partition("\nRequest")[0]
    assert broken_words(plan, columns, ["payload", "sha256"]) == []


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize(
    "words", [("config",), ("doctor",), ("tasks",), ("tasks", WALK), ("payload",), ("version",)], ids=" ".join
)
def test_a_terminal_shows_whole_words(columns: int, words: tuple[str, ...]) -> None:
    assert broken_words(run_in_terminal(columns, *words), columns, []) == []


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_terminal_shows_a_sweeps_leaderboard_in_whole_words(
    gaitway: Callable, stand_in: list[str], columns: int
) -> None:
    key = "agent.algorithm.learning_rate"
    words = ("sweep", "train", *stand_in, "-m", "2", "--set", "do=learn", "--vary", f"{key}=1e-3", "--name", "rates")
    assert gaitway(*words, "--vary", "num_envs=16").code == 0
    shown = run_in_terminal(columns, "sweep", "show", "rates")
    assert broken_words(shown, columns, ["LEARNING_RATE", "NUM_ENVS", "completed", "rates-001", f"{key}=1e-3"]) == []


SHOWN = """
from pathlib import Path
from types import SimpleNamespace as Made
from gaitway.cli import {module}
long = "the joint velocities that the drives measured are those of the other leg, scaled by a twentieth"
{module}._show({made})
"""
EXAM = """Made(
    document=lambda: dict(policy="/home/ada/robots/walker/exported/policy.onnx", card="/home/ada/exam/exam.html"),
    file=Made(kind="ONNX"), confined="run in a process of its own", source="found by experiment", score=71.2,
    task=Made(robot="anymal_c", name="Isaac-Velocity-Flat-Anymal-C-v0"), gate=Made(value="gate not met"),
    reasons=[long], assumptions=[long], hazards=[Made(what="torque above its limit", measured=long)],
    search=Made(decisions=[Made(convention="scale of joint velocities", found=long, runner_up="0.05", sure="sure",
                                runner_up_score=0.1, score=0.9, settles=long)]),
)"""
DIAGNOSIS = """Made(
    log=Path("/home/ada/logs/2026-11-30-walk-on-grass.npz"), rows=1500, seconds=30.0, policy=Path("policy.onnx"),
    notes=[long], unchecked=[long], plots=[Path("/home/ada/plots/joint_velocities.png")],
    faults=[Made(where="joint_vel", cause=long, evidence=long, advice=long)],
)"""
CHECK = """(
    Made(what="swing of front_left_upper_leg_joint", right=False, found=long, hint=long),
    Made(what="standing", right=True, found=long, hint=""),
)"""


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize(("module", "made"), [("exam", EXAM), ("diagnose", DIAGNOSIS), ("robot", CHECK)])
def test_a_terminal_shows_what_was_found_in_whole_words(columns: int, module: str, made: str) -> None:
    shown = run_in_terminal(columns, program=("-c", SHOWN.format(module=module, made=made)))
    assert "Traceback" not in shown
    assert broken_words(shown, columns, ["velocities", "twentieth"]) == []
