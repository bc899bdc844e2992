"""Check of ``--set`` against a task's configuration, before anything is sent, and what ``--set`` can change.

The parts of the runtime that know a task are imported where they are needed: without NumPy nothing is checked here, and
the job checks for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.dotted_keys import SECTIONS, apply_overrides, keys_of, value_at

from .values import Setting

OVERRIDES = "overrides"
"""Setting whose entries are settings of the task: they are compared one by one."""
RECIPES = ("rsl_rl", "skrl")
"""Learners whose settings are known here."""


def check_overrides(settings: dict[str, Setting], *, embedded: bool) -> None:
    """Check the overrides of a job, where the parts are here that know its task.

    Args:
        settings: The job's settings.
        embedded: Whether it runs in the embedded simulator. Of one in Isaac Lab names and types are checked: its
            configuration is known there alone, where the job checks all of it before it starts.

    Raises:
        UsageError: A key is unknown (the error names the nearest), or a value does not fit.
    """
    task, backend = settings["task"].value, settings["backend"].value
    overrides = [text for text in settings[OVERRIDES].value if text.partition(".")[0].strip() in SECTIONS]
    if not overrides or catalog.find(task) is None:
        return
    try:
        from gaitway_runtime.simulators.isaaclab.spelling import check_spelling
        from gaitway_runtime.simulators.mujoco.overrides import with_overrides
        from gaitway_runtime.tasks.environment import find_environment
    except ModuleNotFoundError:
        return  # NumPy is not installed
    if not embedded:
        check_spelling(find_environment(task), overrides)
        return
    with_overrides(find_environment(task), overrides)
    if backend in RECIPES:
        apply_overrides(_recipe(task, backend), "agent", overrides)


def settable_keys(task: str, backend: str) -> dict[str, Any]:
    """Return every value that ``--set`` changes in a training of the embedded simulator, by its whole key.

    Args:
        task: Name of a task that is registered.
        backend: Name of the learner; the settings of one that another package brings are not known.

    Raises:
        ModuleNotFoundError: NumPy is not installed.
    """
    from gaitway_runtime.simulators.mujoco.overrides import settable
    from gaitway_runtime.tasks.environment import find_environment

    found = {f"env.{key}": value for key, value in settable(find_environment(task)).items()}
    if backend in RECIPES:
        recipe = _recipe(task, backend)
        found |= {f"agent.{key}": value_at(recipe, key) for key in keys_of(recipe)}
    return found


def override_text(value: Any) -> str:
    """Return a value as it is typed after ``--set KEY=``; a range needs no brackets, which a shell would take."""
    if isinstance(value, str):
        return value
    text = _literal(value)
    plain_pair = isinstance(value, tuple) and len(value) > 1 and not isinstance(value[0], tuple)
    return text[1:-1] if plain_pair else text


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({','.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, bool | None):
        return "none" if value is None else str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else repr(value)


def split_overrides(texts: Sequence[object]) -> dict[str, str]:
    """Return the values of some overrides by ``--set KEY``, the last one of a key."""
    return {f"--set {key.strip()}": value.strip() for key, _, value in (str(text).partition("=") for text in texts)}


def _recipe(task: str, backend: str) -> Any:
    from gaitway_runtime.tasks import learning

    return learning.recipe_for(task, backend, {"rsl_rl": learning.CPU_RSL_RL, "skrl": learning.CPU_SKRL}[backend])
