"""Every link and command in the README and the docs: links lead somewhere, commands are ones that exist.

What is done with a command depends on its program (:data:`PROGRAMS`): ``gaitway``'s verb and flags go through the real
parser, and one with ``--dry-run`` is run; a script of this repository is parsed as what it stands for; ``make`` has the
target; ``terraform`` reads a folder that is there; other programs' verbs are held against a list.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from fakes.cluster_tools import write_state
from gaitway_runtime.tasks import own_rewards
from gaitway_setup.__main__ import _Command
from gaitway_setup.steps import STEPS

from gaitway.cli.main import cli, main

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(?:bash|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`((?:gaitway|make) [^`]+)`(?!`)")
BETWEEN = {"&&", "||", ";", "|", "(", ")", "&", "do", "then"}
SAMPLE = ROOT / "tests" / "goldens" / "deploy" / "outputs.json"


def pages() -> list[Path]:
    """Every page of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def commands(page: Path) -> Iterator[list[str]]:
    """Yield every simple command of a page as words."""
    text = page.read_text(encoding="utf-8")
    blocks = FENCE.findall(text) + re.findall(r"^    (make .*)$", text, re.MULTILINE)
    blocks += [found for found in INLINE.findall(text) if not re.search(r"[|…]|\.\.\.|VERB", found)]
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            yield from simple(line)


def simple(line: str) -> Iterator[list[str]]:
    """Split a line of shell into its commands, without redirections and comments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    tokens = iter(lexer)
    for token in tokens:
        if token in BETWEEN:
            yield from [words] if words else []
            words = []
        elif token in (">", "<", ">>"):
            next(tokens, None)
        else:
            words.append(token)
    yield from [words] if words else []


def anchors(page: Path) -> set[str]:
    """The headings of a page as they are linked to."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target}: there is no such file"
        assert not anchor or anchor in anchors(found), f"{target}: there is no such heading"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_ones_that_exist(page: Path) -> None:
    for words in commands(page):
        program = Path(words[0]).name if words[0].endswith(("/gaitway", "/pip", "/python")) else words[0]
        check = PROGRAMS.get(program, script if program.endswith(".sh") else None)
        assert check, f"say in PROGRAMS how this is checked: {shlex.join(words)}"
        check(words, page)


def gaitway(words: list[str], page: Path) -> None:
    """The verb and its flags go through the real parser."""
    verb, *rest = words[1:]
    if verb.startswith("-"):
        cli.make_context("gaitway", [verb, *rest], resilient_parsing=True)
        return
    command = cli.get_command(click.Context(cli), verb)
    assert command
    if rest:  # a verb alone may be no more than its mention
        command.make_context(verb, rest)


def script(words: list[str], page: Path) -> None:
    """The script is there and hands its words on to something that takes them."""
    found = next((path for path in (ROOT / words[0], page.parent / words[0]) if path.is_file()), None)
    assert found, f"there is no {words[0]}"
    if "002-setup" in found.parts:
        step = next(step for step in STEPS.values() if found.stem.endswith(step.name))
        _Command().make_context("gaitway_setup", [step.name, *words[1:]])
        return
    text = found.read_text()
    behind = re.search(r'exec "\$gaitway" (.*) "\$@"', text)
    inner = re.search(r'exec "\$(?:root|here)/([\w/-]+\.sh)"', text)
    assert behind or inner, f"{found.name} is no door"
    if behind:
        gaitway(["gaitway", *behind[1].split(), *words[1:]], page)
    elif inner:
        base = ROOT if "$root/" in text else found.parent
        script([str((base / inner[1]).relative_to(ROOT)), *words[1:]], page)


def make(words: list[str], page: Path) -> None:
    """The Makefile has the target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {word for word in words[1:] if "=" not in word} <= targets


def terraform(words: list[str], page: Path) -> None:
    """It works on a folder that is there, with a command that it has."""
    folder, command = words[1].removeprefix("-chdir="), words[2]
    assert (ROOT / folder / "outputs.tf").is_file()
    assert command in {"init", "plan", "apply", "destroy", "output", "state"}


def known(*verbs: str) -> Callable[[list[str], Path], None]:
    """A program that is not ours: its verb is one of those that its documents have."""

    def check(words: list[str], page: Path) -> None:
        line = " ".join(word for word in words[1:] if not word.startswith("-"))
        assert any(line.startswith(verb) for verb in verbs), f"{shlex.join(words)}: which verb is that?"

    return check


def nothing(words: list[str], page: Path) -> None:
    """A command of the shell."""


def own_script(words: list[str], page: Path) -> None:
    """The script that bash shall run is one of this repository."""
    assert (ROOT / words[1]).is_file(), f"there is no {words[1]}"


PROGRAMS: dict[str, Callable[[list[str], Path], None]] = {
    "gaitway": gaitway,
    "make": make,
    "bash": own_script,
    "terraform": terraform,
    "python": known("deploy/checks/", "benchmarks/", "tests/isaaclab/", "gaitway.", "pytest"),
    "python3": known("venv"),
    "pip": known("install", "download", "wheel", "config"),
    "az": known(
        *("login", "account set", "feature register", "provider register", "vm list-usage"),
        *("ml job create", "ml job list"),
    ),
    "osmo": known("workflow submit", "workflow list", "workflow logs", "workflow exec", "credential set", "login"),
    "kubectl": known(".gaitway/setup/aks-gaitway-dev-001.kubeconfig port-forward"),
    **dict.fromkeys(
        ("cp", "cd", "mkdir", "zip", "base64", "git", "for", "done", "$step", "break", "source", "export"), nothing
    ),
}
"""How a command is checked, by its program."""


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_dry_runs_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page shows with ``--dry-run`` is run, over the outputs of the stand-in ground."""
    state = write_state(tmp_path / "iac", json.loads(SAMPLE.read_text()))
    monkeypatch.setenv("GAITWAY_TERRAFORM_DIR", str(state))
    monkeypatch.chdir(ROOT)
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    for words in commands(page):
        if words[0] == "gaitway" and "--dry-run" in words:
            own = [str(tmp_path / "my_package") if word == "path/to/my_package" else word for word in words[1:]]
            assert main(own) == 0, shlex.join(words)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page shows in Python is run, with a stand-in for the runtime that makes a job take milliseconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAINING_PATH", str(ROOT / "tests" / "fakes" / "runtime"))
    monkeypatch.setattr(own_rewards, "ADDED", {})  # what a page adds to a task is gone for the tests that follow
    for block in PYTHON.findall(page.read_text(encoding="utf-8")):
        exec(compile(block, str(page), "exec"), {"__name__": page.stem})


def test_shell_blocks_are_shell() -> None:
    for page in pages():
        for block in FENCE.findall(page.read_text(encoding="utf-8")):
            quiet = re.sub(r"<[\w-]+>", "X", block)
            done = subprocess.run(["bash", "-n"], input=quiet, text=True, capture_output=True, check=False)
            assert done.returncode == 0, f"{page.relative_to(ROOT)}: {done.stderr}\n{block}"


@pytest.mark.parametrize("page", ["registries", "offline", "upgrading", "ci"])
def test_what_a_company_asks_first_has_a_page_that_the_readme_leads_to(page: str) -> None:
    assert f"(docs/{page}.md)" in (ROOT / "README.md").read_text()
    assert len((ROOT / "docs" / f"{page}.md").read_text().split()) > 100


def test_there_is_a_licence_and_the_package_says_which() -> None:
    licence = (ROOT / "LICENSE").read_text().splitlines()[0].removesuffix(" License")
    assert f'license = "{licence}"' in (ROOT / "pyproject.toml").read_text()
