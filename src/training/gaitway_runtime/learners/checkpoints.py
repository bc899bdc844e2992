"""Checkpoints as a learner reads them before it starts, and the marks that it writes into its own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..policies.checkpoint import Checkpoint, open_checkpoint
from ..policies.marker import Marker, marker_values
from ..policies.reader import family_of
from ..spec.errors import UsageError
from .base import Mark, TrainingOutcome
from .state import companion_beside

if TYPE_CHECKING:
    from ..simulators.base import Env


@dataclass(frozen=True, eq=False)
class SavedTraining:
    """A checkpoint to start from."""

    path: Path
    content: Mapping[str, Any]
    """Everything in the file, tensors on the CPU."""
    library: str
    """Learning library and its releases, for example ``rsl_rl 4.x-5.x``."""
    marks: Mapping[str, object]
    """What gaitway wrote into the file; empty for a file of another origin."""

    @property
    def learner(self) -> str:
        """Name of the learner that can continue from it: ``rsl_rl`` or ``skrl``."""
        return self.library.split()[0]

    @property
    def iteration(self) -> int | None:
        """Last iteration that was done, counted from zero; None where the file does not say."""
        return _count(self.marks.get("iteration", self.content.get("iter")))

    @property
    def next_iteration(self) -> int:
        """The first iteration that is not done yet, counted from zero."""
        return 0 if self.iteration is None else self.iteration + 1

    @property
    def env_steps(self) -> int | None:
        """Environment steps done; None where the file does not say."""
        return _count(self.marks.get("env_steps"))

    @property
    def run_id(self) -> str | None:
        """MLflow run that made it."""
        found = self.marks.get("run_id")
        return found if isinstance(found, str) and found else None


def _count(value: Any) -> int | None:
    """Return a count from a file of any origin; None where it is not one."""
    return value if isinstance(value, int) and value >= 0 else None


def open_saved(checkpoint: Checkpoint | Path) -> SavedTraining:
    """Return what a checkpoint to start from says of its training.

    Args:
        checkpoint: An opened checkpoint, or the path of a file.

    Raises:
        UsageError: It is not a checkpoint of a known library, or is hostile.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = open_checkpoint(checkpoint)
    path, content = checkpoint.path, checkpoint.entries
    return SavedTraining(path, content, family_of(checkpoint).NAME, marker_values(content))


def check_learner(saved: SavedTraining, learner: str) -> None:
    """Check that a checkpoint was made by the learner that is to start from it.

    Raises:
        UsageError: It was made by another one.
    """
    if saved.learner != learner:
        raise UsageError(
            f"the checkpoint is of {saved.library}, the learner is {learner}",
            source=str(saved.path),
            hint=f"--backend {saved.learner}",
        )


def check_layout(saved: SavedTraining, fits: bool) -> None:
    """Check that the release of the library that is installed can read what a checkpoint's release wrote.

    Args:
        saved: The checkpoint.
        fits: Whether its entries are those of the installed release.

    Raises:
        UsageError: They are not.
    """
    if not fits:
        raise UsageError(
            f"the checkpoint is of {saved.library}, whose layout this release of {saved.learner} cannot continue from",
            source=str(saved.path),
            hint="continue it in the container that made it, or take its weights alone: --checkpoint-mode warm-start",
        )


def check_resumable(saved: SavedTraining, optimizer_key: str) -> None:
    """Check that a checkpoint has what a resume needs beside the weights.

    Raises:
        UsageError: It does not.
    """
    missing = [
        what
        for what, absent in (("iteration", saved.iteration is None), ("optimiser", optimizer_key not in saved.content))
        if absent
    ]
    if missing:
        raise UsageError(
            f"the checkpoint cannot be resumed: it has no {' and no '.join(missing)}",
            source=str(saved.path),
            hint="--checkpoint-mode warm-start takes its weights alone",
        )


def already_reached(saved: SavedTraining, output_dir: Path) -> TrainingOutcome:
    """Return the outcome of a resume that has nothing left to do; the checkpoint is copied into this run."""
    path = output_dir / "checkpoints" / f"model_{saved.next_iteration - 1}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    companion = companion_beside(saved.path)
    for source, target in ((saved.path, path), *([(companion, path.parent / companion.name)] if companion else [])):
        if not (target.exists() and target.samefile(source)):
            shutil.copyfile(source, target)
    return TrainingOutcome(
        iterations=saved.next_iteration,
        steps=0,
        seconds=0.0,
        final_checkpoint=path,
        final_iteration=saved.next_iteration - 1,
        stopped=False,
    )


def check_widths(saved: SavedTraining, network: str, has: Sequence[int], wants: Sequence[int], key: str) -> None:
    """Check a network of a checkpoint against the one that is to take its weights.

    Args:
        saved: The checkpoint.
        network: Its name, for the error (``actor``).
        has: Widths in the file, inputs first and outputs last.
        wants: Widths here.
        key: The recipe's field of hidden layers.

    Raises:
        UsageError: They differ; the error shows both.
    """
    if list(has) == list(wants):
        return
    here, there = "-".join(map(str, wants)), "-".join(map(str, has))
    task = saved.marks.get("task")
    same_ends = has and (has[0], has[-1]) == (wants[0], wants[-1])
    hidden = ",".join(map(str, has[1:-1]))
    raise UsageError(
        f"the checkpoint's {network} is {there}, this task's is {here} (inputs, hidden layers, outputs)",
        source=str(saved.path) + (f" (trained on {task})" if task else ""),
        allowed=here,
        hint=f"--set agent.{key}=[{hidden}]" if same_ends else "start from a checkpoint of the same task",
    )


def widths_of(weights: Mapping[str, Any], layers: str) -> list[int]:
    """Return the widths of a network from its weights: inputs, hidden layers, outputs; nothing where it has no layers.

    Args:
        weights: Its tensors by name.
        layers: Pattern of its layers' names, in the order in which they compute.
    """
    found = [tensor for name, tensor in weights.items() if re.fullmatch(rf"(?:{layers})\.weight", name)]
    return [found[0].shape[1], *(tensor.shape[0] for tensor in found)] if found else []


def check_normalizer(saved: SavedTraining, has: bool, wants: bool, key: str) -> None:
    """Check that a checkpoint normalises observations where this task's recipe does.

    Args:
        saved: The checkpoint.
        has: Whether the file has an observation normaliser.
        wants: Whether the recipe has one.
        key: The recipe's field.

    Raises:
        UsageError: One has a normaliser and the other has none.
    """
    if has != wants:
        raise UsageError(
            f"the checkpoint has {'an' if has else 'no'} observation normaliser, "
            f"this task's recipe has {'one' if wants else 'none'}",
            source=str(saved.path),
            hint=f"--set agent.{key}={str(has).lower()}",
        )


def marks_for(
    env: Env, *, activation: str, obs_normalization: bool, iteration: int, clip_actions: float | None = None
) -> dict[str, Mark]:
    """Return the marks of a checkpoint: what its policy is, and how far the training was."""
    marker = Marker(
        task=env.task,
        activation=activation,
        obs_normalization=obs_normalization,
        clip_actions=clip_actions,
        contract=env.contract.to_json(indent=None),
    )
    return {**marker.as_dict(), "iteration": iteration, "env_steps": env.env_steps}


def misfit(saved: SavedTraining, error: Exception) -> UsageError:
    """Return the error for tensors that a library refuses to load."""
    reason = " ".join(str(error).split())
    return UsageError(f"the checkpoint does not fit this configuration: {reason}", source=str(saved.path))
