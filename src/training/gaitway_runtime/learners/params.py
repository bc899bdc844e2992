"""``params/agent.yaml``: what was trained with, in plain YAML that any reader loads safely."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..job import TrainJob


def write_agent_yaml(job: TrainJob, config: Any, output_dir: Path, more: Mapping[str, Any]) -> None:
    """Write the learner's configuration.

    Args:
        job: The job.
        config: The learner's configuration, a dataclass.
        output_dir: The job's output folder.
        more: What else a reader should know, as plain values.
    """
    import yaml

    document = {
        "seed": job.seed,
        "max_iterations": job.max_iterations,
        "save_interval": job.save_interval,
        **more,
        # Through JSON: tuples become lists, which a safe loader reads.
        **json.loads(json.dumps(dataclasses.asdict(config))),
    }
    path = output_dir / "params" / "agent.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
