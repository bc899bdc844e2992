"""Names of a task in the installed Isaac Lab release; the releases have renamed nearly all of them.

``Isaac-Velocity-Rough-Anymal-D-v0`` of 2.x is ``Isaac-Velocity-Rough-AnymalD`` in 3.0, and
``Isaac-Velocity-Flat-Anymal-C-v0`` is ``IsaacContrib-Velocity-Flat-AnymalC``. The catalog's aliases come first; for
the others the names are compared without what has changed: prefix, hyphens, version, the ``-Play`` variant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...spec import catalog
from ...spec.errors import UsageError, nearest

PLAY = "-Play"

CONFIGURATION = "env_cfg_entry_point"
"""What every registration of Isaac Lab has among its keyword arguments."""


def registered_name(task: str, registry: Mapping[str, Any], *, release: str, imports: Sequence[str] = ()) -> str:
    """Return the name under which a task is registered.

    Args:
        task: Any name of the task.
        registry: Gymnasium's registry; what is not Isaac Lab's kind of environment is passed over.
        release: Release of Isaac Lab, for the error.
        imports: The user's modules that have been imported, for the error.

    Raises:
        UsageError: None of them is this task; the error names the nearest.
    """
    known = {name for name, spec in registry.items() if CONFIGURATION in spec.kwargs}
    info = catalog.find(task)
    names = [task, *((info.name, *info.aliases) if info else ())]
    exact = next((name for name in names if name in known), None)
    if exact is not None:
        return exact
    wanted = {_essence(name) for name in names}
    alike = sorted((name for name in known if _essence(name) in wanted), key=len)
    if alike:
        return alike[0]
    close = nearest(task, known)
    tried = (
        f"imported: {', '.join(imports)}" if imports else "no module was imported: --import NAME brings your own tasks"
    )
    raise UsageError(
        f"task '{task}' is not registered in Isaac Lab {release}".rstrip(),
        source=f"--task ({tried})",
        hint=f"did you mean {close}?" if close else None,
    )


def wants_play(task: str) -> bool:
    """Whether a task's name asks for the evaluation form even in training."""
    return PLAY in task


def known_name(task: str) -> str:
    """Return the catalog's name of a task, or the task's own where the catalog does not list it."""
    info = catalog.find(task)
    return info.name if info else task


def _essence(name: str) -> str:
    """Return what is left of a name without what the releases have changed."""
    bare = re.sub(r"^.*:|^Isaac(Contrib)?-|-Play|-v0$", "", name)
    return re.sub(r"[^a-z0-9]", "", bare.lower())
