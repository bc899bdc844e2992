"""Check of ``--set env.KEY=VALUE`` for Isaac Lab before Isaac Lab is there: misspelt keys of the tasks that are known.

The job checks every key against the real configuration. What can be told before it is sent is a key that is a letter or
two away from one that the task has, and a value of another type.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from ...spec.dotted_keys import override_value
from ...spec.errors import UsageError
from ...tasks.environment import EnvCfg
from ...tasks.isaac_keys import Key, isaac_keys

ELSEWHERE = frozenset(
    (
        *("decimation", "episode_length_s", "scene", "sim", "viewer", "seed", "observations", "actions", "recorders"),
        *("func", "params", "mode", "time_out", "is_global_time", "min_step_count_between_reset", "class_type"),
        *("asset_cfg", "sensor_cfg", "command_name", "asset_name", "body_name", "term_name", "operation"),
        *("distribution", "recompute_inertia", "restitution_range", "num_buckets", "make_consistent"),
        *("force_range", "torque_range", "heading_command", "debug_vis", "target_pos", "gear_ratio", "joint_pos"),
        *("base_external_force_torque", "dof_pos_limits", "dof_torques_l2", "undesired_contacts", "terrain_levels"),
        *("x", "y", "z", "roll", "pitch", "yaw"),
    )
)
"""Words of Isaac Lab's configurations that our keys do not have everywhere."""
_ALIKE = 0.75
"""Likeness of two words (difflib's ratio) from which one is taken for the other misspelt."""


def check_spelling(task: EnvCfg, overrides: Sequence[str]) -> None:
    """Check overrides of a task that runs in Isaac Lab against what is known of it here.

    Raises:
        UsageError: A key is nearly one of the task's (the error names it), or a value is of another type.
    """
    keys = isaac_keys(task)
    for text in overrides:
        path, _, value = text.partition("=")
        section, _, key = path.strip().partition(".")
        if section != "env":
            continue
        if key in keys:
            _check_value(keys[key], value.strip(), text)
        else:
            _check_words(key.split("."), keys, text)


def _check_value(key: Key, value: str, text: str) -> None:
    if value.lower() in ("none", "null"):
        return
    override_value(key.hint, value, text)


def _check_words(words: Sequence[str], keys: Iterable[str], text: str) -> None:
    """Compare a key with the known ones, word by word, as far as it is known."""
    before = ""
    for word in words:
        beside = {name.removeprefix(before).partition(".")[0] for name in keys if name.startswith(before)}
        if word not in beside:
            close = [] if word in ELSEWHERE else difflib.get_close_matches(word, beside | ELSEWHERE, 1, _ALIKE)
            if close:
                raise UsageError(
                    f"unknown key 'env.{before}{word}'",
                    source=f"--set {text}",
                    allowed=", ".join(f"{before}{name}" for name in sorted(beside)),
                    hint=f"did you mean {before}{close[0]}?",
                )
            return
        before += f"{word}."
