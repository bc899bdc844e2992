"""``params/agent.yaml``: what was trained with, in plain YAML that any reader loads safely."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..job import TrainJob

TENSORBOARD = "tensorboard"
"""Folder of the event files that a learning library writes itself, in the job's output folder."""


def write_agent_yaml(job: TrainJob, config: Any, output_dir: Path, more: Mapping[str, Any]) -> None:
    """Write the learner's configuration.

    Args:
        job: The job.
        config: The learner's configuration, a dataclass or a mapping.
        output_dir: The job's output folder.
        more: What else a reader should know, as plain values.
    """
    document = {
        "seed": job.seed,
        "max_iterations": job.max_iterations,
        "save_interval": job.save_interval,
        **more,
        **_plain(config),
    }
    _write(document, output_dir / "params" / "agent.yaml")


def write_env_yaml(task_config: Mapping[str, Any], output_dir: Path) -> None:
    """Write the configuration of a task that has one of its own, as Isaac Lab's scripts do."""
    _write(_plain(task_config), output_dir / "params" / "env.yaml")


def _write(document: Mapping[str, Any], path: Path) -> None:
    import yaml

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _plain(config: Any) -> dict[str, Any]:
    """Return a configuration as a safe loader reads it: tuples as lists, functions and classes by their names."""
    values = dict(config) if isinstance(config, Mapping) else dataclasses.asdict(config)
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return plain
