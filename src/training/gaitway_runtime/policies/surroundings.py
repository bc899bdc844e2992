"""What lies around a checkpoint and tells what its weights do not: the training configuration, the run's tags.

Nothing here executes what it reads: YAML goes through a safe loader that knows one tag more, ``!!python/tuple``,
which Isaac Lab writes into honest files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .marker import Marker, marker_from_tags

if TYPE_CHECKING:
    import yaml

_CONFIG_NAMES = ("agent.yaml", "agent.yml", "agent.json")
_CONFIG_LIMIT = 4 * 2**20
"""Largest configuration file that is read [bytes]; honest ones have a few KiB."""

LARGEST = 1e30
"""Largest number that a configuration may give a network: what it computes with are 32-bit floats."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is known of a checkpoint beside its weights, and every place that was looked at for it."""

    activation: str | None = None
    """What the user said (``--activation``)."""
    marker: Marker | None = None
    """What gaitway wrote into the file itself."""
    agent: Mapping[str, Any] = field(default_factory=dict)
    """The training configuration beside the file; empty where there is none."""
    agent_file: Path | None = None
    tagged: Marker | None = None
    """What the run's tags say."""
    looked: tuple[str, ...] = ()
    """Places that were looked at, as an error names them."""

    def config(self, *paths: str) -> Any:
        """Return the first value of the training configuration that is set at one of some dotted paths.

        Isaac Lab writes ``{}`` for a field that was never set; it counts as not set, as does null.
        """
        for path in paths:
            value: Any = self.agent
            for part in path.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            if value is not None and value != {}:
                return value
        return None

    def markers(self) -> tuple[Marker, ...]:
        """Return what gaitway itself recorded: in the file first, then in the run's tags."""
        return tuple(marker for marker in (self.marker, self.tagged) if marker is not None)

    def activations(self, count: int, configured: Any) -> tuple[tuple[str, ...], str]:
        """Return the activation after each of ``count`` layers and where they were found.

        The user's word comes first, then the file's own marker, the configuration beside it, the run's tags.

        Args:
            count: Hidden layers of the policy.
            configured: What the configuration says: a name for all, a list of one a layer, or None.

        Raises:
            UsageError: No place tells it; the error lists them all.
        """
        answers = (
            (self.activation, "--activation"),
            (self.marker.activation if self.marker else None, "the checkpoint's own marker"),
            (configured, str(self.agent_file)),
            (self.tagged.activation if self.tagged else None, "the run's tags"),
        )
        if count == 0:
            return (), "not needed: the policy has one layer"
        for answer, source in answers:
            if answer:
                return _spread(answer, count, source), source
        raise UsageError(
            "the checkpoint does not tell its network's activation, and nothing around it does",
            source="; ".join(("--activation (not given)", "the checkpoint's marker (none)", *self.looked)),
            hint="name it with --activation (Isaac Lab's tasks use elu), or put the run's params/agent.yaml beside it",
        )

    def says_normalized(self, configured: Any) -> bool | None:
        """Whether the policy's observations were normalised in training; None where nothing tells.

        One place that says yes outweighs the others: a normaliser that is wrongly left out makes a policy useless.

        Args:
            configured: What the configuration says, or None.
        """
        answers = [*(marker.obs_normalization for marker in self.markers()), configured]
        said = [bool(answer) for answer in answers if answer is not None]
        return any(said) if said else None

    def output_limit(self, *config_paths: str) -> float | None:
        """Return the bound to which the policy's outputs were clamped in training, or None for no clamp.

        Raises:
            UsageError: It is not a positive number.
        """
        answers = [*(marker.clip_actions for marker in self.markers()), *(self.number(path) for path in config_paths)]
        limit = next((answer for answer in answers if answer is not None), math.inf)
        if limit <= 0 or LARGEST < limit < math.inf:
            raise UsageError(
                f"the policy's outputs cannot be clamped to {limit}", source=str(self.agent_file or "marker")
            )
        return limit if math.isfinite(limit) else None

    def number(self, path: str) -> float | None:
        """Return a number of the training configuration, or None where it is not set (or set to false).

        Raises:
            UsageError: It is set to something else.
        """
        value = self.config(path)
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
    if not isinstance(answer, str | list):
        raise UsageError(f"the activation is not a name: {answer!r}", source=source)
    names = [answer] if isinstance(answer, str) else [str(name or "identity") for name in answer]
    if len(names) not in (1, count):
        raise UsageError(f"{len(names)} activations are named for a policy of {count} hidden layers", source=source)
    return tuple(names * count if len(names) == 1 else names)


def look_around(
    checkpoint: Path,
    marker: Marker | None,
    *,
    activation: str | None = None,
    params_dir: Path | None = None,
    tags: Mapping[str, str] | None = None,
) -> Surroundings:
    """Collect what is known around a checkpoint file.

    Args:
        checkpoint: The file.
        marker: What the file itself carries.
        activation: What the user said.
        params_dir: Folder of ``agent.yaml`` or ``agent.json``, looked at before the folders beside the file.
        tags: Tags of the run that made the file.

    Raises:
        UsageError: A configuration was found that cannot be read.
    """
    beside = checkpoint.resolve().parent
    folders = [params_dir] if params_dir else []
    folders += [beside / "params", beside.parent / "params", beside]
    looked: list[str] = []
    agent: Mapping[str, Any] = {}
    agent_file = next(
        (folder / name for folder in folders for name in _CONFIG_NAMES if (folder / name).is_file()), None
    )
    if agent_file is None:
        looked += [f"{folder}/agent.yaml or agent.json (not there)" for folder in folders]
    else:
        agent = read_config(agent_file)
        looked.append(f"{agent_file} (does not say)")
    looked.append("the run's tags (do not say)" if tags else "the run's tags (none)")
    return Surroundings(
        activation=activation,
        marker=marker,
        agent=agent,
        agent_file=agent_file,
        tagged=marker_from_tags(tags or {}),
        looked=tuple(looked),
    )


def read_config(path: Path) -> Mapping[str, Any]:
    """Read a training configuration, YAML or JSON.

    Raises:
        UsageError: It is too large, not of its format, not a mapping, or asks for Python objects.
    """
    import yaml

    if path.stat().st_size > _CONFIG_LIMIT:
        raise UsageError(
            "the training configuration is too large to be one", source=str(path), allowed=f"{_CONFIG_LIMIT >> 20} MiB"
        )
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        document = json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=_safe_loader())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"the training configuration cannot be read: {reason}", source=str(path)) from None
    if not isinstance(document, Mapping):
        raise UsageError("the training configuration is not a mapping", source=str(path))
    return document


def _safe_loader() -> type[yaml.SafeLoader]:
    """Return a safe YAML loader that reads a Python tuple as a list and knows no other Python tag."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def construct_tuple(loader: yaml.SafeLoader, node: yaml.Node) -> list[Any]:
        return list(loader.construct_sequence(node, deep=True))  # type: ignore[arg-type]

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", construct_tuple)
    return Loader
