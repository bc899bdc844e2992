"""What the real Isaac Lab is asked for in vain, in one process: prints the errors as a JSON list."""

import json
import sys

from gaitway_runtime.simulators import isaaclab
from gaitway_runtime.spec.errors import GaitwayError
from gaitway_runtime.spec.job import TrainJob


def refused(**settings: object) -> dict[str, object]:
    job = TrainJob(**{"task": "Isaac-Cartpole-v0", "num_envs": 2, **settings})  # type: ignore[arg-type]
    try:
        isaaclab.open_env(job, num_envs=2, training=True, seed=1)
    except GaitwayError as error:
        return error.as_dict()
    raise SystemExit(f"{settings} was not refused")


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps([refused(**settings) for settings in asked]))
