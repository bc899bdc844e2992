"""The house's import rules (docs/architecture.md): who may know whom."""

import ast
import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GAITWAY = ROOT / "src" / "gaitway"
RUNTIME = ROOT / "src" / "training" / "gaitway_runtime"
HEAVY = {"torch", "mujoco", "mujoco_warp", "warp", "onnx", "onnxscript", "onnxruntime", "rsl_rl", "skrl", "tensordict"}
STDLIB = set(sys.stdlib_module_names)


CLIENT_FLOORS = (
    ("checkpoint_marks", "errors", "findings", "keywords", "locks", "status"),
    ("ledger", "pages", "payload", "progress", "settings", "variations"),
    ("checkpoints", "resuming", "signatures", "unpublished", "user_tasks"),
    ("checkpoint_task", "platforms"),
    ("all_settings", "exporting", "planning"),
    ("preparation",),
    ("run_handle", "adoption", "settings_reference"),
    ("curves",),
    ("api", "comparison", "local_tracking", "regression"),
    ("doctor", "play", "release", "sweep", "watch"),
    ("cli",),
    ("__main__",),
)
"""Rooms of the client from the ground up: packages and single modules. A room imports from the floors below its own."""

RUNTIME_FLOORS = (
    ("spec",),
    ("process",),
    ("distributed", "stores"),
    ("fetch", "probes", "tasks"),
    ("policies", "simulators", "tracking"),
    ("container", "learners"),
    ("evaluation", "robot_logs"),
    ("exam",),
    ("jobs",),
    ("__main__",),
)
"""Rooms of the runtime from the ground up."""

SHARED_BY_PLATFORMS = ("base", "abilities", "container")
"""Modules beside the platforms that all of them use."""

MUTUAL = {
    ("gaitway_runtime.policies", "gaitway_runtime.policies.families"),
    ("gaitway_runtime.policies", "gaitway_runtime.policies.formats"),
    ("gaitway_runtime.policies", "gaitway_runtime.policies.targets"),
}
"""Packages that import each other, with the reason in docs/architecture.md."""


@functools.cache
def imported(path: Path, *, top_level_only: bool = False) -> frozenset[str]:
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
    return frozenset(found)


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py"))


def roots(names: frozenset[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def rooms_of(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield each import of another room of the same package: the file, its room, and the other room."""
    for path in modules(folder):
        room = path.relative_to(folder).with_suffix("").parts[0]
        for name in imported(path):
            top, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            known = (folder / other).is_dir() or (folder / f"{other}.py").is_file()
            if top == folder.name and other and known and other != room:
                yield path, room, other


@pytest.mark.parametrize(("folder", "floors"), [(GAITWAY, CLIENT_FLOORS), (RUNTIME, RUNTIME_FLOORS)])
def test_no_arrow_runs_up(folder: Path, floors: tuple[tuple[str, ...], ...]) -> None:
    floor = {room: number for number, rooms in enumerate(floors) for room in rooms}
    there = {path.relative_to(folder).with_suffix("").parts[0] for path in modules(folder)} - {"__init__"}
    assert there == set(floor), "say on which floor each room is"
    up = [
        f"{path.relative_to(folder)}: {other}"
        for path, room, other in rooms_of(folder)
        if room != "__init__"
        if floor[other] >= floor[room]
    ]
    assert up == []


def test_no_two_packages_import_each_other() -> None:
    arrows = set()
    for folder in (GAITWAY, RUNTIME):
        for path in modules(folder):
            here = ".".join((folder.name, *path.relative_to(folder).parts[:-1]))
            for name in imported(path):
                arrows.add((here, package_of(name, folder)))
    pairs = {(a, b) for a, b in arrows if a and b and a < b and (b, a) in arrows}
    # The modules of the client's root are rooms of their own, on the floors above.
    assert {pair for pair in pairs if pair[0] != "gaitway"} == MUTUAL


def package_of(name: str, folder: Path) -> str:
    """The package that a module or a name in it is of; empty where it is of another distribution."""
    parts = name.split(".")
    if parts[0] != folder.name:
        return ""
    at, count = folder, 1
    while count < len(parts) and (at / parts[count]).is_dir():
        at, count = at / parts[count], count + 1
    return ".".join(parts[:count])


START = "import sys; from gaitway.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (("--help",), set()),
        (("train", "--help"), set()),
        (("runs",), set()),
        (("config",), set()),
        (("payload",), set()),
        # A plan for this machine knows the scale at which the task learns here, which is part of the task's data.
        (("train", "--task", "Isaac-Cartpole-v0", "--dry-run"), {"tasks"}),
        (("train", "--task", "Isaac-Cartpole-v0", "--on", "osmo", "--dry-run"), set()),
    ],
    ids=" ".join,
)
def test_two_packages_one_wire(words: tuple[str, ...], more: set[str], tmp_path: Path) -> None:
    """What the client imports of the runtime as it starts: the room that both share, and data of tasks."""
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{RUNTIME.parent}"}
    done = subprocess.run(
        [sys.executable, "-c", START, *words], capture_output=True, text=True, env=environ, cwd=tmp_path, check=True
    )
    loaded = {
        name.split(".")[1] for name in done.stderr.splitlines()[-1].split() if name.startswith("gaitway_runtime.")
    }
    assert loaded <= {"spec"} | more


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
            and not name.startswith((mine, *(f"gaitway.platforms.{shared}" for shared in SHARED_BY_PLATFORMS)))
        ]
        assert not others, "platforms do not know each other"
    assert not roots(names) & HEAVY, "torch, MuJoCo and ONNX are the runtime's"
    if "azure" in roots(names):
        assert inside[:2] in {("platforms", "azureml"), ("platforms", "azureml.py")}, "azure.* only where it acts"


def test_importing_the_vocabulary_needs_only_the_standard_library() -> None:
    code = (
        "import importlib, pkgutil, sys; import gaitway_runtime.spec as spec\n"
        "names = [found.name for found in pkgutil.iter_modules(spec.__path__, 'gaitway_runtime.spec.')]\n"
        "for name in names: importlib.import_module(name)\n"
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
        assert "stores" in path.parts


def test_no_two_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for path in (*modules(GAITWAY), *modules(RUNTIME)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_at_most_three_places_catch_everything() -> None:
    broad = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (*modules(GAITWAY), *modules(RUNTIME))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        if node.type is None
        or {"Exception", "BaseException"} & {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)}
    ]
    assert len(broad) <= 3, broad
