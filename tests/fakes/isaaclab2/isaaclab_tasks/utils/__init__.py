"""See ``tests.fakes.isaaclab2``."""

import importlib
from typing import Any

import gymnasium


def load_cfg_from_registry(task_name: str, entry_point_key: str) -> Any:
    module, _, name = gymnasium.spec(task_name).kwargs[entry_point_key].partition(":")
    return getattr(importlib.import_module(module), name)()
