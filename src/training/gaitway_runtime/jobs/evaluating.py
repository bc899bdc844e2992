"""Common parts of the jobs that play a policy: the simulator and subject, their MLflow run, progress, video, report."""

from __future__ import annotations

import contextlib
import datetime
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..evaluation.film import film_of
from ..evaluation.provenance import COMMIT_TAG, PAYLOAD_TAG, Provenance, fetch_with_provenance
from ..evaluation.report import REPORT_FILE, Report, format_title, write_report
from ..evaluation.subject import Subject, apply_gains, playable_job, read_subject
from ..evaluation.video import Filming, Video
from ..simulators import base as simulators
from ..spec.job import Job
from ..spec.result import versions
from ..spec.run_context import RunContext
from .base import Workspace, tracked_run

if TYPE_CHECKING:
    from ..evaluation.rollout import Rollout
    from ..simulators.base import Env
    from ..tracking.base import Tracker

log = logging.getLogger(__name__)

FILM_SIZE = (640, 480)
"""Width and height of the videos [pixels]."""

_REPORT_EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationScene:
    """A policy in the simulator that plays it, and the job that asked for it."""

    job: Job
    context: RunContext
    workspace: Workspace
    provenance: Provenance
    env: Env
    subject: Subject

    @property
    def folder(self) -> Path:
        """The job's output folder."""
        return self.workspace.output_dir

    def provenance_lines(self) -> dict[str, str]:
        """Return where everything comes from, for the report."""
        lines = {
            **self.provenance.lines(),
            "played in": self.env.contract.simulator,
            "environments": str(self.env.num_envs),
            "seed": str(self.job.seed),
            "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
        }
        for label, tag in (("payload SHA-256 of this job", PAYLOAD_TAG), ("commit of this job", COMMIT_TAG)):
            if tag in self.context.tags:
                lines[label] = self.context.tags[tag]
        if self.subject.differences:
            lines["differs from its home"] = "; ".join(self.subject.differences)
        return lines


@contextlib.contextmanager
def open_scene(
    job: Job, context: RunContext, workspace: Workspace, uri: str, num_envs: int
) -> Iterator[EvaluationScene]:
    """Fetch a checkpoint, open the simulator, and match the two.

    Raises:
        GaitwayError: The checkpoint cannot be fetched or read, or does not fit the task; nothing is tracked yet.
    """
    # One thread: for a few observations at a time more cost more, and the formats' timings compare.
    torch.set_num_threads(1)
    job = playable_job(job)
    workspace.progress.phase("fetching the checkpoint")
    provenance = fetch_with_provenance(uri, job, context, workspace.output_dir / "start", workspace.store)
    module = simulators.load(job.simulator)
    with contextlib.closing(module.open_env(job, num_envs=num_envs, training=False, seed=job.seed)) as env:
        subject = read_subject(provenance.checkpoint, env.contract, activation=job.activation, contract=job.contract)
        yield EvaluationScene(
            job=job,
            context=context,
            workspace=workspace,
            provenance=provenance,
            env=env,
            subject=apply_gains(subject, env),
        )


@contextlib.contextmanager
def tracked(scene: EvaluationScene, *, failed: bool) -> Iterator[Tracker]:
    """Open the job's MLflow run, and close it as what it was.

    Args:
        scene: What was played.
        failed: Whether the job has failed already; an exception inside makes it so in any case.
    """
    with tracked_run(scene.job, scene.context, scene.folder, store=scene.workspace.store) as tracker:
        tracker.log_params({"checkpoint_uri": scene.provenance.fetched.uri, "num_envs": str(scene.env.num_envs)})
        tracker.set_tags({"seed": str(scene.job.seed), "simulator": scene.env.contract.simulator})
        yield tracker
        tracker.close("FAILED" if failed else "FINISHED")


def step_reporter(workspace: Workspace) -> Callable[[int, int], None]:
    """Return what a rollout tells its progress to: it stops the job when asked to, and reports now and then."""
    reported = 0.0

    def on_step(done: int, total: int) -> None:
        nonlocal reported
        workspace.stop.check()
        now = time.monotonic()
        if done >= total or now - reported >= _REPORT_EVERY_S:
            reported = now
            workspace.progress.report(done, total)

    return on_step


def start_filming(scene: EvaluationScene, form: str, rollout: Rollout) -> Filming:
    """Start the video of a rollout's first steps, in ``videos/<form>_play``, in a process of its own.

    Args:
        scene: What was played.
        form: In which form: ``onnx``, ``jit``, ``checkpoint``.
        rollout: What happened.
    """
    task = scene.job.task
    film = film_of(
        rollout.recording,
        task=task,
        simulator=scene.job.simulator,
        title=f"{task.removeprefix('Isaac-').removesuffix('-v0')} · {format_title(form)}",
        step_dt=rollout.step_dt,
        imports=scene.job.imports,
        joint_names=scene.env.contract.robot.joint_names,
        width=FILM_SIZE[0],
        height=FILM_SIZE[1],
    )
    return Filming(film, scene.folder / "videos" / f"{form}_play", check=scene.workspace.stop.check)


def finish_filming(filming: Filming) -> Video:
    """Wait for a video; where there is none, the log says why, as the report does."""
    video = filming.result()
    if video.path is None:
        log.warning("there is no video in %s: %s", filming.target.parent.name, video.reason)
    return video


def finish_report(make: Callable[[], Report], output_dir: Path) -> None:
    """Make and write the report; where what it is made with is not installed, say so instead of failing the job."""
    try:
        write_report(make(), output_dir / REPORT_FILE)
    except ImportError as error:
        log.warning("there is no report: %s", error)


def publish_outputs(tracker: Tracker, output_dir: Path) -> tuple[str, ...]:
    """Upload everything that the job made and return it, relative to the output folder."""
    made: list[str] = []
    for name in ("exported", "metrics", "videos", "plots"):
        folder = output_dir / name
        files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
        if files:
            tracker.publish(folder, name)
            made += [str(path.relative_to(output_dir)) for path in files]
    if (output_dir / REPORT_FILE).is_file():
        tracker.publish(output_dir / REPORT_FILE, "")
        made.append(REPORT_FILE)
    return tuple(made)


def log_numbers(tracker: Tracker, document: Mapping[str, Any], prefix: str = "") -> None:
    """Log the numbers of a metrics document that are one."""
    numbers = {
        prefix + key: float(value)
        for key, value in document.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and key != "schema"
    }
    tracker.log_metrics(numbers, 0)


def now() -> str:
    """Return the time as a report shows it."""
    return datetime.datetime.now().astimezone().strftime("%d %B %Y, %H:%M %Z")
