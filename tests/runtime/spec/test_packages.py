"""What a user is told to type where a package is missing: it works where this gaitway came from."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path

import pytest
from gaitway_runtime.spec import packages
from gaitway_runtime.spec.packages import install_command, missing_package

ROOT = Path(__file__).parents[3]


class Installed:
    """A distribution with the record that pip makes of where it came from."""

    requires = ("click", "torch>=2.7; extra == 'local'", "onnx>=1.18 ; extra == 'local'", "azure-ai-ml; extra == 'x'")

    def __init__(self, direct_url: dict[str, object] | None) -> None:
        self._text = json.dumps(direct_url) if direct_url else None

    def read_text(self, name: str) -> str | None:
        return self._text if name == "direct_url.json" else None


@pytest.mark.parametrize(
    ("direct_url", "command"),
    [
        ({"url": "file:///home/me/gaitway", "dir_info": {"editable": True}}, "-e '/home/me/gaitway[local]'"),
        ({"url": "file:///home/me/my%20code", "dir_info": {}}, "'/home/me/my code[local]'"),
        ({"url": "file:///w/gaitway-1.whl", "archive_info": {}}, "'gaitway[local] @ file:///w/gaitway-1.whl'"),
        (
            {"url": "https://git.example.com/g.git", "vcs_info": {"vcs": "git", "commit_id": "12ab"}},
            "'gaitway[local] @ git+https://git.example.com/g.git@12ab'",
        ),
        (None, "'torch>=2.7' 'onnx>=1.18'"),
    ],
)
def test_the_command_installs_from_where_gaitway_came(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, direct_url: dict[str, object] | None, command: str
) -> None:
    monkeypatch.setattr(packages, "_CHECKOUT", tmp_path)
    monkeypatch.setattr(metadata, "distribution", lambda name: Installed(direct_url))
    assert install_command("local") == f"pip install {command}"


def test_a_checkout_is_named_by_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert install_command("local", "release") == f"pip install -e '{ROOT}[local,release]'"
    monkeypatch.chdir(ROOT)
    assert install_command("local") == "pip install -e '.[local]'"


def test_a_container_with_the_runtime_alone_installs_its_requirements(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nothing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(packages, "_CHECKOUT", tmp_path)
    monkeypatch.setattr(metadata, "distribution", nothing)
    assert install_command("azureml").endswith("gaitway_runtime/requirements.txt")


def test_the_error_names_the_package() -> None:
    error = missing_package("a release", ModuleNotFoundError("no", name="cyclonedx"), "release")
    assert error.message == "a release needs a package that is not installed: cyclonedx"


def test_no_hint_names_gaitway_to_a_package_index() -> None:
    """The name is not registered there: whoever takes it could hand out anything."""
    for path in [*ROOT.glob("src/**/*.py"), *ROOT.glob("docs/*.md"), ROOT / "README.md"]:
        assert not re.search(r"pip install (-U )?'?gaitway\b|with its extras? \[", path.read_text("utf-8")), path
