"""Training configuration of a checkpoint: what its weights do not say, from the user, the file and its run's folder.

Nothing here executes what it reads: YAML goes through a safe loader that knows one more tag, ``!!python/tuple``,
which Isaac Lab writes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..spec.checkpoint_files import AGENT_FILES, NETWORK_FILES
from ..spec.errors import UsageError
from .activations import check_known, same_activation
from .checkpoint import Checkpoint
from .marker import Marker

if TYPE_CHECKING:
    import yaml

_CONFIG_LIMIT = 4 * 2**20
"""Largest configuration file that is read [bytes]; those of real runs have a few KiB."""

_MOST_VALUES = 100_000
"""Most values of a configuration, lists and mappings counted too; those of real runs have a few hundred."""

LARGEST = 1e30
"""Largest number that a configuration may give a network, which computes with 32-bit floats."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Facts about a checkpoint beside its weights, and every place that was searched for them."""

    activation: str | None = None
    """The user's ``--activation``."""
    marker: Marker | None = None
    """Facts that gaitway wrote into the file."""
    agent: Mapping[str, object] = field(default_factory=dict)
    """The training configuration beside the file; empty where there is none."""
    agent_file: Path | None = None
    """Where it is; of one inside the checkpoint the checkpoint's path and the entry's name."""
    network: Mapping[str, object] | None = None
    """A description of the network (``network.yaml``), where there is one."""
    network_file: Path | None = None
    searched: tuple[str, ...] = ()
    """Places that were searched, as an error names them."""

    def value(self, *paths: str) -> Any:
        """Return the first value of the training configuration that is set at one of some dotted paths.

        Isaac Lab writes ``{}`` for a field that was never set; it counts as not set, as does null.
        """
        for path in paths:
            found = self.written(path)
            if found is not None and found != {}:
                return found
        return None

    def agreed(self, *paths: str) -> Any:
        """Return the value that is set at some dotted paths; None where it is at none.

        Raises:
            UsageError: Two of them say different things.
        """
        found = [(path, self.value(path)) for path in paths if self.value(path) is not None]
        for path, value in found[1:]:
            if value != found[0][1]:
                raise UsageError(
                    f"the configuration says two things of one policy: {found[0][0]} is {found[0][1]!r}, "
                    f"{path} is {value!r}",
                    source=str(self.agent_file),
                    hint="put the configuration of the run that made this checkpoint beside it",
                )
        return found[0][1] if found else None

    def written(self, path: str) -> Any:
        """Return what the training configuration has at a dotted path, ``{}`` included; None where nothing is."""
        found: Any = self.agent
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    def activations(self, count: int, configured: Any, source: Path | None = None) -> tuple[tuple[str, ...], str]:
        """Return the activation after each of ``count`` layers and where they were found.

        Args:
            count: Hidden layers of the policy.
            configured: Value of the configuration: a name for all, a list with one for each layer, or None.
            source: File that it stands in; by default the training configuration.

        Raises:
            UsageError: No place tells it (the error lists them all), or two places contradict each other.
        """
        if count == 0:
            return (), "not needed: the policy has one layer"
        answers = (
            (configured, str(source or self.agent_file)),
            (self.marker.activation if self.marker else None, "the checkpoint's own marker"),
            (self.activation, "--activation"),
        )
        told = [(_spread(answer, count, place), place) for answer, place in answers if answer]
        for names, place in told:
            check_known(names, place)
        for names, place in told[1:]:
            if not all(map(same_activation, names, told[0][0])):
                raise UsageError(
                    f"the activation is told in two ways: {_joined(names)} by {place}, "
                    f"{_joined(told[0][0])} by {told[0][1]}",
                    source=f"{place}; {told[0][1]}",
                    hint="leave --activation (and GAITWAY_ACTIVATION in the environment) away"
                    if place == "--activation"
                    else "put the configuration of the run that made this checkpoint beside it",
                )
        if told:
            # crelu has two meanings: whoever names one of them says more.
            return next((answer for answer in told if not any(name.lower() == "crelu" for name in answer[0])), told[0])
        raise UsageError(
            "the checkpoint does not tell its network's activation, and nothing around it does",
            source="; ".join(("--activation (not given)", "the checkpoint's marker (none)", *self.searched)),
            hint="name it with --activation (Isaac Lab's tasks use elu), or put the run's params/agent.yaml beside it",
        )

    def says_normalized(self, configured: Any) -> bool | None:
        """Whether the policy's observations were normalised in training; None where nothing tells.

        One place that says yes outweighs the others: a policy whose normaliser is left out is useless.

        Args:
            configured: Value of the configuration, or None.
        """
        answers = [self.marker.obs_normalization if self.marker else None, configured]
        said = [bool(answer) for answer in answers if answer is not None]
        return any(said) if said else None

    def output_limit(self, *config_paths: str) -> float | None:
        """Return the bound to which the policy's outputs were clamped in training, or None for no clamp.

        Raises:
            UsageError: It is not a positive number, or two places name two bounds.
        """
        answers = [
            self.marker.clip_actions if self.marker else None,
            *(self.number(path) for path in config_paths),
        ]
        limits = list(dict.fromkeys(answer for answer in answers if answer is not None)) or [math.inf]
        if len(limits) > 1:
            raise UsageError(
                f"the policy's outputs are clamped to {limits[0]:g} by the checkpoint's own marker and "
                f"to {limits[1]:g} by the configuration beside it",
                source=str(self.agent_file),
            )
        if limits[0] <= 0 or LARGEST < limits[0] < math.inf:
            raise UsageError(
                f"the policy's outputs cannot be clamped to {limits[0]}", source=str(self.agent_file or "marker")
            )
        return limits[0] if math.isfinite(limits[0]) else None

    def number(self, path: str) -> float | None:
        """Return a number of the training configuration, or None where it is not set (or set to false).

        Raises:
            UsageError: It is set to something else.
        """
        value = self.value(path)
        if value is None or value is False:
            return None
        try:
            # YAML reads 1e-8 as a text; a Boolean is no number here.
            number = float(value) if isinstance(value, int | float | str) and value is not True else math.nan
        except ValueError:
            number = math.nan
        if math.isnan(number) or LARGEST < abs(number) < math.inf:
            raise UsageError(f"{path} is not a number: {value!r}", source=str(self.agent_file))
        return number


def _spread(answer: Any, count: int, source: str) -> tuple[str, ...]:
    """Return a name for each layer, from one name, several with commas between, or a list."""
    if not isinstance(answer, str | list):
        raise UsageError(f"the activation is not a name: {answer!r}", source=source)
    found = answer.split(",") if isinstance(answer, str) else answer
    names = [str(name or "identity").strip() for name in found]
    if len(names) not in (1, count):
        raise UsageError(f"{len(names)} activations are named for a policy of {count} hidden layers", source=source)
    return tuple(names * count if len(names) == 1 else names)


def _joined(names: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(names))


def find_training_config(
    checkpoint: Checkpoint,
    marker: Marker | None,
    *,
    activation: str | None = None,
    params_dir: Path | None = None,
    network_file: Path | None = None,
) -> TrainingConfig:
    """Collect what is known of a checkpoint beside its weights.

    Args:
        checkpoint: The opened file.
        marker: Facts that the file itself carries.
        activation: The user's ``--activation``.
        params_dir: Folder of ``agent.yaml`` or ``agent.json``, searched before the others.
        network_file: Description of the network; by default ``network.yaml`` in one of the folders.

    Raises:
        UsageError: A configuration was found that cannot be read.
    """
    folders = [*([params_dir] if params_dir else []), *checkpoint.config_folders]
    agent_file, network = _first(folders, AGENT_FILES), network_file or _first(folders, NETWORK_FILES)
    agent = read_config(agent_file) if agent_file else {}
    if agent_file is None:
        agent_file, agent = _inside(checkpoint)
    if agent_file is not None:
        searched = [f"{agent_file} (does not say)"]
    else:
        searched = [f"{folder}/agent.yaml or agent.json (not there)" for folder in folders]
    return TrainingConfig(
        activation=activation,
        marker=marker,
        agent=agent,
        agent_file=agent_file,
        network=read_config(network) if network else None,
        network_file=network,
        searched=tuple(searched) or ("the run's params/agent.yaml (it has none)",),
    )


_EMBEDDED = ("cfg", "config", "train_cfg", "train_config", "agent_cfg", "runner_cfg", "args", "hparams")
"""Entries in which trainers keep their configuration inside the checkpoint."""

_SECTIONS = ("policy", "actor", "student", "runner", "models", "params")
"""Sections of a configuration that say something of a policy."""


def _inside(checkpoint: Checkpoint) -> tuple[Path | None, Mapping[str, object]]:
    """Return the training configuration that a checkpoint itself carries, and a path that names its place."""
    for name in _EMBEDDED:
        found = checkpoint.entries.get(name)
        if isinstance(found, Mapping) and any(isinstance(found.get(section), Mapping) for section in _SECTIONS):
            return checkpoint.path / name, found
    return None, {}


def _first(folders: list[Path], names: tuple[str, ...]) -> Path | None:
    return next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)


def read_config(path: Path) -> Mapping[str, object]:
    """Read a training configuration, YAML or JSON.

    Raises:
        UsageError: It is not there, too large, not of its format, not a mapping, or asks for Python objects.
    """
    import yaml

    try:
        if path.stat().st_size > _CONFIG_LIMIT:
            raise UsageError(
                "the training configuration is too large to be one",
                source=str(path),
                allowed=f"{_CONFIG_LIMIT >> 20} MiB",
            )
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise UsageError(f"the configuration cannot be read: {error.strerror}", source=str(path)) from None
    try:
        document = json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=_safe_loader())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"the training configuration cannot be read: {reason}", source=str(path)) from None
    if not isinstance(document, Mapping):
        raise UsageError("the training configuration is not a mapping", source=str(path))
    if _is_larger(document, _MOST_VALUES):
        raise UsageError(
            "the training configuration is too large to be one, with its aliases written out",
            source=str(path),
            allowed=f"{_MOST_VALUES:,} values",
        )
    return document


def _is_larger(document: Any, most: int) -> bool:
    """Whether a document has more values than a bound; one that several aliases name counts each time."""
    rest, count = [document], 0
    while rest and count <= most:
        value = rest.pop()
        count += 1
        if isinstance(value, Mapping):
            rest.extend(value.values())
        elif isinstance(value, list):
            rest.extend(value)
    return count > most


def _safe_loader() -> type[yaml.SafeLoader]:
    """Return a safe YAML loader that reads a Python tuple as a list and knows no other Python tag."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def construct_tuple(loader: yaml.SafeLoader, node: yaml.Node) -> list[Any]:
        return list(loader.construct_sequence(node, deep=True))  # type: ignore[arg-type]

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", construct_tuple)
    return Loader
