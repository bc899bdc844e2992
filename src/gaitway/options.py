"""Settings that belong to a submission rather than to the job or the platform."""

from __future__ import annotations

from dataclasses import dataclass

from gaitway_runtime.fields import setting

from .platforms.base import PLATFORMS


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a job runs, under which name, and which files go with it."""

    platform: str = setting(
        "local", "Platform that runs the job.", flags="--on", env="GAITWAY_PLATFORM", choices=tuple(PLATFORMS)
    )
    run_name: str | None = setting(
        None,
        "Name of the run; derived from the task and numbered when omitted.",
        flags=("--name", "--job-name"),
        metavar="NAME",
    )
    training_path: str = setting(
        "src/training",
        "Folder that is shipped with the job; the runtime is added where it lacks one.",
        flags="--training-path",
        env="TRAINING_PATH",
        metavar="DIR",
    )
    with_paths: tuple[str, ...] = setting(
        (),
        "Folder or file shipped beside it under its own name, e.g. your task package; repeatable.",
        flags="--with",
        env="GAITWAY_WITH",
        metavar="PATH",
    )
