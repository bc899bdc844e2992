"""Help: one screen of what is needed first, everything on request, and completion of values."""

import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from fakes.terminal import broken_words, run_in_terminal

SCREEN = 50
"""Lines of a terminal window that somebody works in."""


@pytest.mark.parametrize("verb", ["train", "validate", "infer"])
@pytest.mark.parametrize("platform", ["local", "osmo", "azureml"])
def test_help_is_one_screen_for_the_platform_at_hand(gaitway: Callable, verb: str, platform: str) -> None:
    shown = gaitway(verb, "--on", platform, "--help").out
    assert len(shown.splitlines()) <= SCREEN
    others = {"local", "osmo", "azureml"} - {platform}
    assert not [name for name in others if f"On {name}:" in shown and name == "azureml"]
    assert f"gaitway {verb} --help-all" in " ".join(shown.split())


def test_help_follows_the_platform_of_the_environment(gaitway: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--pool" not in gaitway("train", "--help").out
    monkeypatch.setenv("GAITWAY_PLATFORM", "osmo")
    assert "--pool" in gaitway("train", "--help").out


def test_help_all_has_every_option(gaitway: Callable) -> None:
    every = gaitway("train", "--help-all").out
    for flag in (
        "--pool",
        "--compute",
        "--azure-subscription-id",
        "--sleep-after-unpack",
        "--dataset-bucket",
        "--task",
    ):
        assert re.search(rf"{flag}\b", every)
    assert "more options" not in every


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize(
    "words", [("--help",), ("train", "--help"), ("train", "--help-all"), ("runs", "--help")], ids=" ".join
)
def test_help_breaks_no_word(columns: int, words: tuple[str, ...]) -> None:
    shown = run_in_terminal(columns, *words)
    assert broken_words(shown, columns, ["gaitway"]) == []


def test_the_demos_help_has_its_own_defaults(gaitway: Callable) -> None:
    shown = " ".join(gaitway("demo", "--help").out.split())
    assert "default: Isaac-Velocity-Flat-Anymal-C-v0" in shown
    assert "2048" not in shown


def complete(*words: str) -> list[str]:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "_GAITWAY_COMPLETE": "bash_complete"}
    environ |= {"COMP_WORDS": " ".join(("gaitway", *words)), "COMP_CWORD": str(len(words))}
    command = [sys.executable, "-m", "gaitway"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_a_shell_completes_values(start: Callable) -> None:
    start(name="walker").wait()
    assert complete("train", "--task", "Isaac-Cart") == ["Isaac-Cartpole-v0"]
    assert complete("train", "--on", "o") == ["osmo"]
    assert complete("status", "wal") == ["walker"]
    assert complete("infer", "--checkpoint-uri", "wal") == ["walker@latest", "walker@best"]
    assert complete("train", "--backend", "s") == ["skrl"]
    assert complete("validat") == ["validate"]
    walk = ("train", "--task", "Isaac-Velocity-Flat-Anymal-C-v0")
    assert complete(*walk, "--set", "env.rewards.feet_air") == [
        "env.rewards.feet_air_time.weight=",
        "env.rewards.feet_air_time.params.threshold=",
    ]
    assert complete(*walk, "--set", "agent.algorithm.des") == ["agent.algorithm.desired_kl="]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(gaitway: Callable, shell: str) -> None:
    ran = gaitway("completion", shell)
    assert ran.code == 0
    assert "_GAITWAY_COMPLETE" in ran.out
