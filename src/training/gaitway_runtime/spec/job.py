"""The one vocabulary: what can be asked of gaitway, with its defaults, limits and help texts.

A job is a frozen dataclass. Each field is declared with :func:`~.settings.setting`, whose metadata is
the single source of the flag, the environment variable, the help text, the limits and the Terraform output that
can fill it. The command line, ``gaitway config``, ``job.json``, the container's environment and the workflow
templates are all derived from these declarations or tested against them.

Only the standard library is imported here: the module is read by the command line before anything else
and by the runtime inside containers with Python 3.10 to 3.12.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from . import schemes
from .errors import UsageError
from .export_formats import FormatChoices
from .learners import LEARNERS
from .settings import setting, setting_of

THIS_MACHINE = "local"
"""Platform that runs jobs on the machine where they are submitted."""

SIMULATORS = {"isaaclab": "isaaclab", "mujoco": "mujoco", "mujoco-warp": "mujoco_warp"}
"""Simulators by name, and the Python package that each one needs."""
AUTOMATIC = ("isaaclab", "mujoco")
"""What ``auto`` stands for: the first of them that is there."""
EMBEDDED = ("mujoco", "mujoco-warp")
"""Those that have the tasks of the catalog and only them: the embedded one, and the same on other physics."""

CHECKPOINT_MODES = ("from-scratch", "warm-start", "resume", "fresh")
"""Checkpoint modes; ``fresh`` is another word for ``from-scratch``."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every job names, whatever it does and wherever it runs."""

    kind: ClassVar[str] = "job"

    task: str = setting(
        "Isaac-Velocity-Rough-Anymal-C-v0", "Isaac Lab task name.", flags=("--task", "-t"), env="TASK", metavar="NAME"
    )
    num_envs: int = setting(
        2048,
        "Number of parallel environments.",
        flags=("--num-envs", "-n"),
        env="NUM_ENVS",
        minimum=1,
        maximum=1_000_000,
        metavar="COUNT",
    )
    simulator: str = setting(
        "auto",
        "Simulator: isaaclab, mujoco, mujoco-warp (on a GPU), auto: isaaclab where it is there, else mujoco.",
        flags="--simulator",
        env="SIMULATOR",
        container_only=True,
        choices=("auto", *SIMULATORS),
        metavar="NAME",
    )
    backend: str = setting(
        "rsl_rl", "Learning library.", flags=("--backend", "-b"), env="TRAINING_BACKEND", choices=LEARNERS
    )
    seed: int = setting(
        42,
        "Seed of everything random.",
        flags="--seed",
        env="SEED",
        container_only=True,
        minimum=0,
        maximum=2**31 - 1,
        metavar="N",
    )
    checkpoint_uri: str | None = setting(
        None,
        schemes.checkpoint_help,
        flags=("--checkpoint-uri", "-c"),
        env="CHECKPOINT_URI",
        address=True,
        metavar="URI",
    )
    checkpoint_sha256: str | None = setting(
        None,
        "Expected SHA-256 of the checkpoint file.",
        flags="--checkpoint-sha256",
        env="CHECKPOINT_SHA256",
        container_only=True,
        metavar="HEX",
    )
    activation: str | None = setting(
        None,
        "Activation of the policy network, where neither the checkpoint nor its configuration names it.",
        flags="--activation",
        env="ACTIVATION",
        container_only=True,
        metavar="NAME",
    )
    contract: str | None = setting(
        None,
        "Policy contract (JSON file) of a task the simulator does not know, or of the policy's home simulator.",
        flags="--contract",
        env="POLICY_CONTRACT",
        container_only=True,
        metavar="FILE",
    )
    run_smoke_test: bool = setting(
        False,
        "Check tracking, storage and registry access before the job starts; the job then continues.",
        flags=("--run-smoke-test", "-s"),
        env="RUN_AZURE_SMOKE_TEST",
    )
    sleep_after_unpack: int = setting(
        0,
        "Seconds to wait after the payload is unpacked, for inspection; the job then continues.",
        flags="--sleep-after-unpack",
        env="SLEEP_AFTER_UNPACK",
        minimum=0,
        metavar="SECONDS",
    )
    imports: tuple[str, ...] = setting(
        (),
        "Python module that registers tasks when imported; repeatable.",
        flags="--import",
        env="TASK_IMPORTS",
        container_only=True,
    )
    overrides: tuple[str, ...] = setting(
        (),
        "Override of the task's settings, agent.KEY=VALUE or env.KEY=VALUE; gaitway tasks TASK has all; repeatable.",
        flags="--set",
        env="SET_OVERRIDES",
        container_only=True,
        separator=";",
    )


@dataclass(frozen=True, kw_only=True)
class TrainJob(Job):
    """Train a task; publish checkpoints and metrics; register the final model when asked."""

    kind: ClassVar[str] = "train"

    max_iterations: int | None = setting(
        None,
        "Training iterations in total; the task's own number when omitted.",
        flags=("--max-iterations", "-m"),
        env="MAX_ITERATIONS",
        minimum=1,
        metavar="N",
    )
    checkpoint_mode: str = setting(
        "from-scratch",
        "What to take from the checkpoint: nothing, the weights, or everything.",
        flags=("--checkpoint-mode", "-M"),
        env="CHECKPOINT_MODE",
        choices=CHECKPOINT_MODES,
    )
    register_checkpoint: str | None = setting(
        None,
        "Model name to register the final checkpoint under.",
        flags=("--register-checkpoint", "-r"),
        env="REGISTER_CHECKPOINT",
        metavar="NAME",
    )
    skip_register_checkpoint: bool = setting(
        False,
        "Do not register the final checkpoint.",
        flags="--skip-register-checkpoint",
        env="SKIP_REGISTER_CHECKPOINT",
        container_only=True,
    )
    gate: bool = setting(
        False,
        "Validate before registering, and register only on a pass.",
        flags="--gate",
        env="GATE",
        container_only=True,
    )
    save_interval: int | None = setting(
        None,
        "Iterations between checkpoints; the task's own number when omitted.",
        flags="--save-interval",
        env="SAVE_INTERVAL",
        container_only=True,
        minimum=1,
        metavar="N",
    )
    shaping: bool = setting(
        True,
        "Training-only reward shaping of the embedded simulator's recipes (--no-shaping: Isaac Lab's rewards alone).",
        flags="--shaping",
        env="SHAPING",
        container_only=True,
    )
    evaluation_share: float = setting(
        0.02,
        "Largest share of the time for small evaluations of the policy while it trains; 0 for none.",
        flags="--evaluation-share",
        env="EVALUATION_SHARE",
        container_only=True,
        minimum=0.0,
        maximum=0.5,
        metavar="SHARE",
    )
    films: bool = setting(
        False,
        "Film the policy while it trains, within the same share of the processors' time.",
        flags="--films",
        env="FILMS",
        container_only=True,
    )

    def resuming(self, checkpoint: Path) -> TrainJob:
        """Return this training as it continues from a checkpoint file of its own."""
        return dataclasses.replace(
            self, checkpoint_uri=str(checkpoint), checkpoint_sha256=None, checkpoint_mode="resume"
        )


@dataclass(frozen=True, kw_only=True)
class ValidateJob(Job):
    """Evaluate a checkpoint or a registered model against its task's criterion."""

    kind: ClassVar[str] = "validate"

    num_envs: int = setting_of(Job, "num_envs", default=64)
    model_name: str | None = setting(
        None,
        "Registered model; derived from the task when omitted.",
        flags="--model-name",
        env="MODEL_NAME",
        container_only=True,
    )
    model_version: str = setting(
        "latest",
        "Version of the registered model.",
        flags="--model-version",
        env="MODEL_VERSION",
        container_only=True,
        metavar="VERSION",
    )
    eval_episodes: int = setting(
        100,
        "Episodes to evaluate.",
        flags="--eval-episodes",
        env="EVAL_EPISODES",
        container_only=True,
        minimum=1,
        metavar="COUNT",
    )
    success_threshold: float | None = setting(
        None,
        "Share of successful episodes that passes; the task's own number when omitted.",
        flags="--success-threshold",
        env="SUCCESS_THRESHOLD",
        container_only=True,
        minimum=0.0,
        maximum=1.0,
        metavar="SHARE",
    )
    sweep: bool = setting(
        False,
        "Also sweep command directions, pushes, friction, payload mass and kinds of ground.",
        flags="--sweep",
        env="SWEEP",
        container_only=True,
    )


@dataclass(frozen=True, kw_only=True)
class InferJob(Job):
    """Export a checkpoint, prove the exports equal to it, and play each in simulation."""

    kind: ClassVar[str] = "infer"

    task: str = setting_of(Job, "task", default="Isaac-Ant-v0")
    num_envs: int = setting(
        4,
        "Number of environments.",
        flags=("--num-envs", "-n"),
        env="NUM_ENVS",
        minimum=1,
        maximum=100_000,
        metavar="COUNT",
    )
    format: str = setting(
        "both",
        "Export format to make and play.",
        flags=("--format", "-f"),
        env="INFERENCE_FORMAT",
        choices=FormatChoices(),
    )
    gate: bool = setting(
        False,
        "Play whole episodes and fail (exit code 5) unless the task's gate is met.",
        flags="--gate",
        env="GAITWAY_INFER_GATE",
    )
    max_steps: int = setting(
        500, "Inference steps per environment.", flags=("--max-steps", "-m"), env="MAX_STEPS", minimum=1, metavar="N"
    )
    video_length: int = setting(
        200,
        "Steps shown in the video; 0 for none.",
        flags=("--video-length", "-v"),
        env="VIDEO_LENGTH",
        minimum=0,
        metavar="N",
    )


@dataclass(frozen=True, kw_only=True)
class DumpContractJob(Job):
    """Write the policy contract of a task as the simulator at hand has it, with a short trace."""

    kind: ClassVar[str] = "dump-contract"

    max_steps: int = setting(200, "Steps of the trace.", flags="--max-steps", env="MAX_STEPS", minimum=1, metavar="N")


@dataclass(frozen=True, kw_only=True)
class RegisterJob(Job):
    """Register a checkpoint with its verdict and exports: the last stage of a ship chain."""

    kind: ClassVar[str] = "register"

    register_checkpoint: str | None = setting_of(TrainJob, "register_checkpoint")
    verdict_from: str | None = setting(
        None,
        "Output folder of the validation whose verdict the model carries.",
        env="VERDICT_FROM",
        container_only=True,
        metavar="DIR",
    )
    exports_from: str | None = setting(
        None,
        "Output folder of the inference whose exports go with the model.",
        env="EXPORTS_FROM",
        container_only=True,
        metavar="DIR",
    )


@dataclass(frozen=True, kw_only=True)
class ShipJob(TrainJob):
    """Train a task, judge the final checkpoint by its gate, export it, register it; stop at the first failure.

    :func:`gaitway_runtime.spec.chain.stages` takes it apart into one job a stage.
    """

    kind: ClassVar[str] = "ship"

    eval_episodes: int = setting_of(ValidateJob, "eval_episodes")
    success_threshold: float | None = setting_of(ValidateJob, "success_threshold")
    format: str = setting_of(InferJob, "format")
    max_steps: int = setting_of(InferJob, "max_steps")
    video_length: int = setting_of(InferJob, "video_length")


JOB_KINDS: dict[str, type[Job]] = {
    cls.kind: cls for cls in (TrainJob, ValidateJob, InferJob, DumpContractJob, ShipJob, RegisterJob)
}
"""Job kinds by name; a new kind is a dataclass, a row here and a file in ``gaitway_runtime/jobs``."""


def normalize_checkpoint_mode(mode: str) -> str:
    """Return the mode's canonical name: ``fresh`` is ``from-scratch``."""
    return "from-scratch" if mode == "fresh" else mode


def model_name_for(task: str) -> str:
    """Derive a registered model's name from a task.

    Lower case; every run of characters outside ``[a-z0-9-]`` becomes one ``-``; ends trimmed.

    Raises:
        UsageError: Nothing is left of the name.
    """
    name = re.sub(r"[^a-z0-9]+", "-", task.lower()).strip("-")
    if not name:
        raise UsageError(
            f"no model name can be derived from task '{task}'", hint="name one with --register-checkpoint NAME"
        )
    return name


def experiment_name(backend: str, task: str) -> str:
    """Return the MLflow experiment of a task, for example ``isaaclab-rsl-rl-Isaac-Ant-v0``."""
    return f"isaaclab-{backend.replace('_', '-')}-{task}"
