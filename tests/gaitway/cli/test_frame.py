"""The frame of the command line: the table of verbs, the error form, exit codes, JSON."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gaitway.cli.verbs import VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(gaitway: Callable, verb: str) -> None:
    ran = gaitway(verb, "--help")
    assert ran.code == 0
    assert VERBS[verb].summary.split(":")[0] in " ".join(ran.out.split())
    assert "--debug" in ran.out


def test_a_bare_call_shows_the_verbs_and_the_exit_codes(gaitway: Callable) -> None:
    ran = gaitway()
    assert ran.code == 0
    assert all(verb in ran.out for verb in VERBS)
    assert "Exit codes: 0 done" in ran.out


def test_help_imports_no_verb() -> None:
    code = "import sys; from gaitway.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert not {verb.command.partition(":")[0] for verb in VERBS.values()} & loaded
    assert not {"torch", "numpy", "rich", "httpx", "yaml", "mlflow"} & loaded


def test_a_dry_run_imports_nothing_heavy(tmp_path: Path) -> None:
    words = ["train", "--task", "Isaac-Cartpole-v0", "--training-path", str(tmp_path), "--dry-run"]
    code = f"import sys; from gaitway.cli.main import main; main({words}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign = {name.split(".")[0] for name in done.stderr.split()} - set(sys.stdlib_module_names)
    assert not {name for name in foreign if not name.startswith("_")} - {"gaitway", "gaitway_runtime", "click"}


def test_an_unknown_verb_names_the_nearest(gaitway: Callable) -> None:
    ran = gaitway("taks")
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.splitlines()[0] == "error: unknown command 'taks'"
    assert "  hint: did you mean tasks or status?" in ran.err.splitlines()


def test_an_unknown_flag_names_the_nearest(gaitway: Callable) -> None:
    ran = gaitway("tasks", "--jsn")
    assert ran.code == 2
    assert ran.err.splitlines() == ["error: unknown option '--jsn'", "  hint: did you mean --json?"]


@pytest.mark.parametrize(
    ("typed", "in_wsl"),
    [
        (r"C:\Users\me\model_9.pt", "/mnt/c/Users/me/model_9.pt"),
        ("d:/runs/model_9.pt", "/mnt/d/runs/model_9.pt"),
        ("file:///C:/Users/me/model_9.pt", "/mnt/c/Users/me/model_9.pt"),
        (r"\\wsl$\Ubuntu\home\me\model_9.pt", "/home/me/model_9.pt"),
        ("//wsl.localhost/Ubuntu/home/me/model_9.pt", "/home/me/model_9.pt"),
        ("C:Usersmemodel_9.pt", "/mnt/c/"),
    ],
)
def test_a_path_of_windows_is_named_as_wsl_has_it(gaitway: Callable, typed: str, in_wsl: str) -> None:
    for words in (("infer", "--checkpoint-uri", typed), ("train", f"--with={typed}"), ("export", typed)):
        failed = gaitway(*words, "--dry-run") if words[0] != "export" else gaitway(*words)
        assert failed.code == 2
        assert in_wsl in failed.err.split("hint: ")[-1]


def test_an_error_with_json_is_one_document_and_the_sentence(gaitway: Callable) -> None:
    ran = gaitway("tasks", "--json", "extra")
    assert ran.code == 2
    assert ran.json["error"]["exit_code"] == 2
    assert ran.err.startswith("error: ")


def test_an_unforeseen_error_keeps_its_traceback_in_a_file(
    gaitway: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr("gaitway.cli.output.table", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ran = gaitway("version")
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert "error: unexpected ZeroDivisionError: boom" in ran.err
    source = next(line for line in ran.err.splitlines() if line.startswith("  from: "))
    assert "ZeroDivisionError: boom" in Path(source.removeprefix("  from: ")).read_text()


def test_debug_shows_the_traceback(gaitway: Callable) -> None:
    ran = gaitway("tasks", "--debug", "extra")
    assert "Traceback" in ran.err


def test_an_interrupt_is_130(gaitway: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gaitway.cli.output.table", interrupted)
    assert gaitway("version").code == 130


def test_tasks_json_is_data(gaitway: Callable) -> None:
    tasks = {task["name"]: task for task in gaitway("tasks", "--json").json}
    assert tasks["Isaac-Cartpole-v0"]["observations"] == 4
    assert "gate" in tasks["Isaac-Ant-v0"]
