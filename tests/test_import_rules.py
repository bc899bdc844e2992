"""The house's import rules (docs/architecture.md): who may know whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GAITWAY = ROOT / "src" / "gaitway"
RUNTIME = ROOT / "src" / "training" / "gaitway_runtime"
HEAVY = {"torch", "mujoco", "onnx", "onnxscript", "onnxruntime", "rsl_rl", "skrl", "tensordict"}
STDLIB = set(sys.stdlib_module_names)


def imported(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Absolute names of the modules that a file imports; TYPE_CHECKING blocks do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = path.relative_to(ROOT / "src" if GAITWAY in path.parents else RUNTIME.parent).with_suffix("").parts
    package = parts[:-1]
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if top_level_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join(base + (node.module.split(".") if node.module else []))
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return found


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py"))


def roots(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", modules(RUNTIME), ids=lambda p: str(p.relative_to(RUNTIME)))
def test_the_runtime_knows_nothing_of_the_users_side(path: Path) -> None:
    assert "gaitway" not in roots(imported(path))


@pytest.mark.parametrize("path", modules(GAITWAY), ids=lambda p: str(p.relative_to(GAITWAY)))
def test_the_users_side_keeps_its_doors(path: Path) -> None:
    names = imported(path)
    inside = path.relative_to(GAITWAY).parts
    if inside[0] != "cli" and inside[0] != "__main__.py":
        assert not [name for name in names if name.startswith("gaitway.cli")], "nothing imports the command line"
    if inside[0] == "platforms" and len(inside) > 1:
        mine = f"gaitway.platforms.{Path(inside[1]).stem}"
        others = [
            name
            for name in names
            if name.startswith("gaitway.platforms.")
            and not name.startswith((mine, "gaitway.platforms.base", "gaitway.platforms.container"))
        ]
        assert not others, "platforms do not know each other"
    assert not roots(names) & HEAVY, "torch, MuJoCo and ONNX are the runtime's"
    if "azure" in roots(names):
        assert inside[:2] in {("platforms", "azureml"), ("platforms", "azureml.py")}, "azure.* only where it acts"


def test_importing_the_vocabulary_needs_only_the_standard_library() -> None:
    code = (
        "import sys; import gaitway_runtime as r\n"
        "for name in r.VOCABULARY: __import__(f'gaitway_runtime.{name}')\n"
        "roots = {m.split('.')[0] for m in sys.modules if getattr(sys.modules[m], '__file__', None)}\n"
        "print(' '.join(sorted(roots - sys.stdlib_module_names - {'gaitway_runtime', 'sitecustomize'})))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(RUNTIME.parent)}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", modules(RUNTIME), ids=lambda p: str(p.relative_to(RUNTIME)))
def test_azure_is_imported_only_where_it_is_used(path: Path) -> None:
    assert "azure" not in roots(imported(path, top_level_only=True))
    if "azure" in roots(imported(path)):
        assert "tracking" in path.parts or "jobs" in path.parts
