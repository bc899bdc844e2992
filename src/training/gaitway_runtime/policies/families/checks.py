"""Checks of a checkpoint against the configuration beside it, and the errors where they disagree."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ...spec.errors import UsageError
from ..training_config import TrainingConfig
from ..weights import DESCRIBE, Linear


def nothing_told(training: TrainingConfig, library: str) -> tuple[str, ...]:
    """Return what is taken for granted of a policy where no configuration and no marker of ours tells."""
    if training.agent or training.marker:
        return ()
    return (
        f"nothing beside the checkpoint says how it was trained: the policy is taken for {library}'s own, its last "
        "layer for the actions, neither squashed (tanh) nor clamped; a network.yaml beside it, or export --network "
        "FILE, says otherwise (output: tanh(ACTIONS))",
    )


def check_class(training: TrainingConfig, paths: tuple[str, ...], own: tuple[str, ...], package: str) -> None:
    """Check that the configuration names one of the library's own classes, where it names one.

    Args:
        training: The configuration.
        paths: Dotted paths at which it names a class.
        own: Names of the library's own classes.
        package: The library's package; a qualified name must be inside it.

    Raises:
        UsageError: It names a class of somebody else's, which may compute anything.
    """
    named = training.value(*paths)
    if named is None:
        return
    module, _, name = str(named).replace(":", ".").rpartition(".")
    if name in own and (not module or module.split(".")[0] == package):
        return
    raise UsageError(
        f"the policy was made by a class that is not {package}'s own, and may compute anything: {named}",
        source=f"{training.agent_file}: {' or '.join(paths)}",
        allowed=", ".join(own),
        hint=DESCRIBE,
    )


def check_keys(training: TrainingConfig, path: str, own: Collection[str], package: str) -> None:
    """Check that a section of the configuration has no key that the library does not know, but for empty ones.

    Args:
        training: The configuration.
        path: Dotted path of the section.
        own: Keys that the library's own classes take.
        package: Its name.

    Raises:
        UsageError: There is one: what it does to the policy is nobody's guess.
    """
    section = training.value(path)
    for key, value in section.items() if isinstance(section, Mapping) else ():
        if key not in own and value not in (None, False, "", {}, []):
            raise UsageError(
                f"the configuration sets {path}.{key} to {value!r}, which {package}'s own policies do not have: "
                "it may change what is computed",
                source=str(training.agent_file),
                hint=f"{DESCRIBE}; or take {key} out of the configuration if it plays no part when the policy acts",
            )


def check_hidden_sizes(linears: tuple[Linear, ...], training: TrainingConfig, configured: Any) -> None:
    """Refuse a configuration that lies beside the file but describes another network.

    Nothing else that it says would then be true of this one.

    Args:
        linears: All layers of the policy.
        training: For the error: where the configuration is.
        configured: Its hidden sizes; ``-1`` stands for the input's. Anything but a list of numbers is passed over.

    Raises:
        UsageError: Its hidden sizes are not the weights'.
    """
    if not isinstance(configured, list) or not all(isinstance(size, int) for size in configured):
        return
    sizes = [int(layer.weight.shape[0]) for layer in linears[:-1]]
    width = int(linears[0].weight.shape[1])
    if [width if size == -1 else size for size in configured] != sizes:
        raise UsageError(
            f"the configuration beside the checkpoint is of another network: hidden layers {configured}, "
            f"where the weights have {sizes}",
            source=str(training.agent_file),
            hint="put the configuration of the run that made this checkpoint beside it",
        )


def missing_normalizer(where: str, training: TrainingConfig, expected: bool | None, *, other: str | None) -> UsageError:
    """Return the error for a policy whose observation statistics are gone.

    Args:
        where: The statistics' place in the file.
        training: The configuration.
        expected: What the configuration and the marker say; None where nothing tells.
        other: The part of the same file that is normalised, which is the evidence when nothing tells.
    """
    if not expected:
        evidence = f"its {other} is normalised and nothing says that the policy was not"
    elif training.marker is not None and training.marker.obs_normalization:
        evidence = "gaitway recorded that it was trained with one"
    else:
        evidence = f"{training.agent_file} says that it was trained with one"
    return UsageError(
        "the checkpoint has no observation normaliser, and without it the policy would act on wrong numbers: "
        + evidence,
        source=f"{where} (not in the file)",
        hint="use the checkpoint as the trainer wrote it; a policy that was trained without a normaliser needs its "
        "run's params/agent.yaml beside it to say so",
    )


def unused_normalizer(where: str, training: TrainingConfig) -> UsageError:
    """Return the error for statistics in the file that the configuration says were not used."""
    return UsageError(
        "the checkpoint holds observation statistics, and the configuration beside it says that the policy was "
        "trained without",
        source=f"{where}; {training.agent_file or 'the checkpoint’s marker'}",
        hint="put the configuration of the run that made this checkpoint beside it",
    )


def unclear_output(rows: int, training: TrainingConfig) -> UsageError:
    """Return the error for a last layer that could be actions, or half as many with their spread."""
    return UsageError(
        f"the checkpoint has no action spread, and its {rows} outputs could be {rows} actions or fewer with "
        "their spread beside them",
        source="; ".join(training.searched),
        hint="put the run's params/agent.yaml beside the checkpoint; it names the distribution",
    )
