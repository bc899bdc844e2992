"""The index of tasks: light enough for a bare install, and strict about what is registered."""

import subprocess
import sys
from pathlib import Path

import gaitway_runtime
import pytest
from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.catalog import Gate, SuccessRule, Task
from gaitway_runtime.spec.errors import UsageError

RUNTIME = Path(gaitway_runtime.__file__).parents[1]


def test_every_task_is_known_with_the_standard_library_alone() -> None:
    code = (
        "import sys; from gaitway_runtime.spec import catalog; print(len(catalog.tasks()))\n"
        "roots = {m.split('.')[0] for m in sys.modules if getattr(sys.modules[m], '__file__', None)}\n"
        "print(' '.join(sorted(roots - sys.stdlib_module_names - {'gaitway_runtime', 'sitecustomize'})))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(RUNTIME)}
    )
    assert done.returncode == 0, done.stderr
    count, *others = done.stdout.split()
    assert int(count) >= len(catalog.tasks()) - 5
    assert others == []


@pytest.mark.parametrize("first", ["velocity.unitree_go2", "reach.ur10", "cartpole.environment"])
def test_tasks_stand_in_one_order_whatever_is_imported_first(first: str) -> None:
    code = f"import gaitway_runtime.tasks.{first}; from gaitway_runtime.spec import catalog\n"
    code += "print(*(task.name for task in catalog.tasks()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = done.stdout.split()
    assert names[0] == "Isaac-Cartpole-v0"
    assert names == [task.name for task in catalog.tasks() if task.name in names]


@pytest.mark.parametrize("task", catalog.tasks(), ids=lambda task: task.name)
def test_every_name_of_a_task_finds_it_and_its_play_form(task: Task) -> None:
    for name in task.names:
        assert catalog.find(name) is task
        assert catalog.canonical(name.replace("-v0", "-Play-v0")) == task.name


def test_a_task_is_refused_whole() -> None:
    before = catalog.tasks()
    with pytest.raises(UsageError, match="has no gate") as caught:
        catalog.register(
            Task(
                name="Half-A-Task",
                summary="Do something",
                robot="ant",
                environment="nowhere:NOTHING",
                observations=1,
                actions=1,
                control_hz=50,
                episode_length_s=1,
                success=SuccessRule(sentence="it is done"),
            )
        )
    assert "gate=Gate(" in (caught.value.hint or "")
    assert catalog.tasks() == before
    assert Gate(success_rate=0.5).thresholds == ()


@pytest.mark.parametrize("name", ["Isaac-Velocity-Flat-Spot-v0", "Isaac-Lift-Cube-Franka-v0", "IsaacContrib-Xyz"])
def test_a_task_of_isaac_labs_alone_is_told_where_it_runs(name: str) -> None:
    with pytest.raises(UsageError, match="unknown to the embedded simulator") as caught:
        catalog.embedded(name)
    for way in ("--on osmo", "--on azureml", "--simulator isaaclab --python"):
        assert way in (caught.value.hint or "")
