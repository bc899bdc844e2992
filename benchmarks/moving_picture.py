"""Draw the moving picture of the README: the sample policies, walking side by side.

python benchmarks/moving_picture.py docs/images/walking.webp
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import numpy as np
from gaitway_runtime.evaluation.film import film_of
from gaitway_runtime.evaluation.rollout import run_steps
from gaitway_runtime.evaluation.subject import read_subject
from gaitway_runtime.policies.sessions import checkpoint_session
from gaitway_runtime.simulators import base as simulators
from gaitway_runtime.simulators.mujoco.render.frames import pictures
from gaitway_runtime.spec.job import ValidateJob
from PIL import Image

SAMPLES = Path(__file__).parents[1] / "samples"
ROBOTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("anymal-c-rough/model_999.pt", "Isaac-Velocity-Rough-Anymal-C-v0", "ANYmal-C", ()),
    ("go2-flat/model_139.pt", "Isaac-Velocity-Flat-Unitree-Go2-v0", "Go2", ()),
    # With this seed it would be told to stand.
    (
        "h1-flat/model_599.pt",
        "Isaac-Velocity-Flat-H1-v0",
        "H1",
        ("env.commands.base_velocity.ranges.lin_vel_x=0.8,0.8",),
    ),
)
SIZE = (260, 240)
STEPS, EVERY = 200, 3
"""Control steps that are shown, and how many go by from picture to picture."""


def frames_of(checkpoint: str, task: str, name: str, overrides: tuple[str, ...]) -> list[Image.Image]:
    """Return the pictures of one robot."""
    job = ValidateJob(task=task, simulator="mujoco", overrides=overrides)
    with contextlib.closing(
        simulators.load("mujoco").open_env(job, num_envs=1, training=False, seed=5, nthread=1)
    ) as env:
        subject = read_subject(SAMPLES / checkpoint, env.contract)
        actor = subject.actor(checkpoint_session(subject.policy))
        rollout = run_steps(env, actor, STEPS, seed=5, snapshots=STEPS)
        film = film_of(
            rollout.recording,
            task=task,
            simulator="mujoco",
            title=name,
            step_dt=rollout.step_dt,
            every=EVERY,
            width=SIZE[0],
            height=SIZE[1],
        )
    return [Image.fromarray(np.array(picture)) for picture in pictures(film, "rays")]


def main() -> None:
    """Draw all robots and write the picture."""
    columns = [frames_of(*robot) for robot in ROBOTS]
    whole = []
    for row in zip(*columns, strict=False):
        canvas = Image.new("RGB", (SIZE[0] * len(row), SIZE[1]))
        for number, picture in enumerate(row):
            canvas.paste(picture, (number * SIZE[0], 0))
        whole.append(canvas)
    target = Path(sys.argv[1])
    whole[0].save(target, save_all=True, append_images=whole[1:], duration=20 * EVERY, loop=0, quality=55, method=4)
    print(f"{target}: {len(whole)} pictures, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
