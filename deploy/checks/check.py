"""Checks of everything under ``deploy/`` without a network: ``make check-deploy``.

Each check is a function and a row in :data:`CHECKS`; every one runs, and the exit code says whether all passed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import charts
import crds
import terraform_names
from azurerm_schema import load

ROOT = Path(__file__).resolve().parents[2]
IAC = ROOT / "deploy" / "001-iac"
TOOLS = Path(sys.executable).parent
"""Where this environment's commands are."""
PROJECT_PYTHON = os.environ.get("GAITWAY_PYTHON") or str(ROOT / ".venv" / "bin" / "python")
"""The Python that gaitway is installed for; this environment has only the checks' own tools."""
KUBERNETES = "1.33"
"""Kubernetes release whose schemas are used."""


@dataclass(frozen=True)
class Check:
    """One check: its name, and a function that returns the problems."""

    name: str
    look: Callable[[], list[str]]


def terraform_format() -> list[str]:
    """Return the Terraform files that ``terraform fmt`` would change."""
    done = _run(["terraform", "fmt", "-check", "-recursive", "-no-color", str(IAC)])
    return [] if done.returncode == 0 else [f"not formatted: {line}" for line in done.stdout.splitlines()]


def terraform_tests() -> list[str]:
    """Run ``terraform test`` in every folder that has tests; they need no provider but the built-in one."""
    found = []
    for folder in sorted({path.parent for path in IAC.rglob("*.tftest.hcl")}):
        with tempfile.TemporaryDirectory() as data:
            environ = {"TF_DATA_DIR": data}
            for words in (["init", "-backend=false"], ["test"]):
                done = _run(["terraform", *words, "-no-color"], cwd=folder, environ=environ)
                if done.returncode != 0:
                    found.append(f"{folder.relative_to(ROOT)}: terraform {words[0]} failed\n{done.stdout}{done.stderr}")
                    break
    return found


def terraform_schema() -> list[str]:
    """Compare every azurerm name with the provider's schema."""
    return terraform_names.check(IAC, load())


def terraform_policies() -> list[str]:
    """Run checkov over the Terraform files; what is skipped has its reason beside the resource."""
    command = [str(TOOLS / "checkov"), "-d", str(IAC), "--framework", "terraform", "--compact", "--quiet"]
    done = _run(command, environ={"ANSI_COLORS_DISABLED": "1", "LOG_LEVEL": "CRITICAL"})
    return [] if done.returncode == 0 else [done.stdout]


def manifests() -> list[str]:
    """Validate every Kubernetes object that 002-setup applies, and every pod template, against Kubernetes' schemas."""
    import kubernetes_validate

    found, kinds = [], crds.load_crds()
    items, problems = _objects()
    for item in items:
        if _kind(item) in kinds:
            continue
        try:
            kubernetes_validate.validate(item, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{_named(item)}: {'.'.join(map(str, error.path))}: {error.message}")
    return problems + found


def custom_resources() -> list[str]:
    """Compare the fields of every custom resource that 002-setup applies with those of its kind."""
    kinds = crds.load_crds()
    items, problems = _objects()
    own = [item for item in items if _kind(item) in kinds]
    return problems + [
        f"{_named(item)}: {line}" for item in own for line in crds.field_problems(item, kinds[_kind(item)])
    ]


def _objects() -> tuple[list[Any], list[str]]:
    """Return the objects that the steps apply, and why there are none."""
    import yaml

    done = _rendered()
    if done.returncode != 0:
        return [], [f"the steps could not be rendered\n{done.stderr}"]
    found = list(yaml.safe_load_all(done.stdout))
    return found, [] if found else ["no object was rendered"]


def _kind(item: Any) -> str:
    return f"{item['apiVersion']}/{item['kind']}"


def _named(item: Any) -> str:
    return f"{item['kind']} {item['metadata']['name']}"


def helm_values() -> list[str]:
    """Compare the values of every chart, and the extension's settings, with what each of them reads."""
    done = _rendered("--values")
    if done.returncode != 0:
        return [f"the values could not be rendered\n{done.stderr}"]
    known = charts.load_charts()
    found = []
    for name, documents in json.loads(done.stdout)["values"].items():
        if name not in known.charts:
            found.append(f"{name}: nobody has looked which values it reads (deploy/checks/chart_keys.py)")
            continue
        for document in documents:
            found += charts.value_problems(name, document, known.charts[name])
    return found


def pinned_releases() -> list[str]:
    """Look at every pin for a withdrawn release and for the date of the last look."""
    done = _rendered("--values")
    if done.returncode != 0:
        return [f"the pins could not be read\n{done.stderr}"]
    return list(charts.pin_problems(json.loads(done.stdout)["versions"], charts.load_charts()))


def _rendered(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the set-up's renderer over the stand-in deployment's outputs."""
    outputs = json.loads((ROOT / "tests" / "goldens" / "deploy" / "outputs.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "terraform.tfstate").write_text(json.dumps({"version": 4, "outputs": outputs}))
        parts = (ROOT / "deploy" / "002-setup", ROOT / "src", ROOT / "src" / "training")
        environ = {"GAITWAY_TERRAFORM_DIR": folder, "PYTHONPATH": ":".join(map(str, parts))}
        return _run([PROJECT_PYTHON, "-m", "gaitway_setup.rendered", *words], environ=environ)


def scripts() -> list[str]:
    """Run shellcheck over every script of the repository."""
    files = [str(path) for path in _tracked() if _is_shell(path)]
    done = _run([str(TOOLS / "shellcheck"), "--external-sources", *files], cwd=ROOT)
    return [] if done.returncode == 0 else [done.stdout + done.stderr]


CHECKS: Sequence[Check] = (
    Check("terraform fmt", terraform_format),
    Check("terraform test", terraform_tests),
    Check("azurerm schema", terraform_schema),
    Check("checkov", terraform_policies),
    Check("manifests", manifests),
    Check("custom resources", custom_resources),
    Check("helm values", helm_values),
    Check("pinned releases", pinned_releases),
    Check("shellcheck", scripts),
)


def _run(
    command: Sequence[str], *, cwd: Path = ROOT, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a tool without an automatic update, a prompt or a colour."""
    quiet = {"CHECKPOINT_DISABLE": "1", "TF_INPUT": "0", "TF_IN_AUTOMATION": "1"}
    whole = {**os.environ, **quiet, **(environ or {})}
    return subprocess.run(
        command, cwd=cwd, env=whole, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def _tracked() -> Iterator[Path]:
    """Yield the repository's files: what git knows, and what it does not ignore."""
    listed = _run(["git", "ls-files", "--cached", "--others", "--exclude-standard"])
    for line in listed.stdout.splitlines():
        path = ROOT / line
        if path.is_file() and not path.is_symlink():
            yield path


def _is_shell(path: Path) -> bool:
    with path.open("rb") as stream:
        first = stream.readline(80)
    return path.suffix == ".sh" or (first.startswith(b"#!") and first.rstrip().endswith((b"bash", b"/sh")))


def main() -> int:
    """Run every check and print its problems and time."""
    if shutil.which("terraform") is None:
        print("terraform is not installed: https://developer.hashicorp.com/terraform/install", file=sys.stderr)
        return 3
    failed = 0
    for check in CHECKS:
        started = time.monotonic()
        found = check.look()
        print(f"{'FAIL' if found else 'ok':<6}{check.name:<18}{time.monotonic() - started:5.1f} s")
        print("".join(f"{line}\n" for line in found), end="")
        failed += bool(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
