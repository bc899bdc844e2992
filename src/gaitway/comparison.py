"""Differences between runs, or between exported policies, read from their files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.result import numbers_of

from .curves import progress_curves, read_curves
from .errors import UsageError
from .ledger import Ledger, read_document
from .payload.archive import files_of
from .run_handle import Run
from .settings.overrides import OVERRIDES, split_overrides
from .settings.values import recorded

CONTRACT_FILE = "contract.json"
FACTS = ("kind", "task", "platform", "status", "gate", "iterations", "seconds")
"""What is said of a run beside its metrics."""

OF_NO_INTEREST = ("source", "network.normalizer.mean", "network.normalizer.std", "robot.model_sha256")
"""Parts of a contract that differ from training to training without meaning anything to a deployer."""

NAME, SEED = "run_name", "seed"
"""Settings in which runs of one group may differ; the name is no difference at all."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of those that are compared."""

    name: str
    facts: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The ``settings.json`` document."""
    payload: Mapping[str, Any] = field(default_factory=dict)
    """The ``payload.json`` document."""
    contract: Mapping[str, object] = field(default_factory=dict)
    run_dir: Path | None = None
    """The run's folder; None for a policy."""
    history: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    """Training curves, ``(iteration, value)`` pairs by name."""


@dataclass(frozen=True)
class Difference:
    """Something in which the sides differ: its value on each, None where a side does not have it."""

    what: str
    values: tuple[str | None, ...]

    def document(self) -> dict[str, object]:
        """Return the difference as ``--json`` prints it; of two sides also as before and after."""
        two = {"before": self.values[0], "after": self.values[1]} if len(self.values) == 2 else {}
        return {**asdict(self), **two}


@dataclass(frozen=True)
class Measured:
    """A number that at least one of the sides has."""

    metric: str
    values: tuple[float | None, ...]

    @property
    def difference(self) -> float | None:
        """How much more the last side has than the first."""
        first, last = self.values[0], self.values[-1]
        return None if first is None or last is None else last - first

    @property
    def differs(self) -> bool:
        """Whether the sides do not all have the same."""
        return any(value != self.values[0] for value in self.values)

    def document(self) -> dict[str, object]:
        """Return the number as ``--json`` prints it."""
        return {**asdict(self), "difference": self.difference}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that differs. A part that one of the sides does not have is None."""

    sides: tuple[Side, ...]
    groups: tuple[tuple[str, ...], ...]
    """Names of the sides; those that differ in their seed alone are together."""
    metrics: tuple[Measured, ...] | None
    """All numbers, equal ones included."""
    settings: tuple[Difference, ...] | None
    files: tuple[Difference, ...] | None
    """Files of the payload, by their hash."""
    contract: tuple[Difference, ...] | None

    def document(self) -> dict[str, object]:
        """Return the comparison as ``--json`` prints it; of two sides also as ``a`` and ``b``."""
        runs = [{"name": one.name, **one.facts, "payload_sha256": one.payload.get("sha256")} for one in self.sides]
        two = dict(zip("ab", runs, strict=False)) if len(runs) == 2 else {}
        parts = {
            "metrics": self.metrics,
            "settings": self.settings,
            "payload_files": self.files,
            "contract": self.contract,
        }
        return {
            **two,
            "runs": runs,
            "groups": [list(group) for group in self.groups],
            **{name: None if part is None else [each.document() for each in part] for name, part in parts.items()},
        }


def compare_sides(*sides: Side) -> Comparison:
    """Return what differs between some sides."""
    return Comparison(
        sides=sides,
        groups=seed_groups(sides),
        metrics=measured([side.metrics for side in sides]) if all(side.metrics for side in sides) else None,
        settings=differences([_settings(side.settings) for side in sides], shared=True)
        if all(side.settings for side in sides)
        else None,
        files=differences([files_of(side.payload) for side in sides]) if all(side.payload for side in sides) else None,
        contract=contract_changes([side.contract for side in sides]) if all(side.contract for side in sides) else None,
    )


def seed_groups(sides: Sequence[Side]) -> tuple[tuple[str, ...], ...]:
    """Return the names of the sides, those together that differ in their seed alone."""
    groups: dict[str, list[str]] = {}
    for side in sides:
        known = {key: value for key, value in _settings(side.settings).items() if key != SEED}
        same = [side.facts.get("task"), side.facts.get("kind"), sorted(known.items()), side.payload.get("sha256")]
        groups.setdefault(json.dumps(same) if side.settings else side.name, []).append(side.name)
    return tuple(map(tuple, groups.values()))


def measured(documents: Sequence[Mapping[str, object]]) -> tuple[Measured, ...]:
    """Return the numbers of some metrics documents side by side, by dotted name."""
    found = [numbers_of(document) for document in documents]
    names = dict.fromkeys(name for numbers in found for name in numbers)
    return tuple(Measured(name, tuple(numbers.get(name) for numbers in found)) for name in names)


def differences(sides: Sequence[Mapping[str, str]], *, shared: bool = False) -> tuple[Difference, ...]:
    """Return the keys whose values are not all the same.

    Args:
        sides: Values by key.
        shared: Whether to leave out what one of the sides does not know, but for the task's own settings.
    """
    names = dict.fromkeys(name for values in sides for name in values)
    rows = (Difference(name, tuple(values.get(name) for values in sides)) for name in names)
    return tuple(
        row
        for row in rows
        if len(set(row.values)) > 1 and not (shared and None in row.values and not row.what.startswith("--set "))
    )


def _settings(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of a ``settings.json`` document as texts, each override of the task by its own key."""
    found: dict[str, str] = {}
    for key, entry in recorded(document).items():
        if key == OVERRIDES and isinstance(entry.value, list):
            found |= split_overrides(entry.value)
        elif key != NAME:
            found[key] = "none" if entry.value in (None, []) else str(entry.value)
    return found


def find_side(text: str, ledger: Ledger, *, every_curve: bool = False) -> Side:
    """Return what a name stands for: a run of this folder, or the place of an exported policy.

    Args:
        text: A run's name; an exported file, its contract, or a folder that holds one.
        ledger: The runs of this folder.
        every_curve: Whether the curves of all metrics are wanted, not only those of the progress reports.

    Raises:
        UsageError: It is neither.
    """
    path = Path(text)
    if path.exists() and text not in ledger.names():
        return _policy_side(path)
    return _run_side(Run(ledger.read(text), ledger), every_curve)


def contract_changes(contracts: Sequence[Mapping[str, object]]) -> tuple[Difference, ...]:
    """Return the fields of policy contracts that differ, by dotted name; of a list, the entries that do."""
    found = [dict(_leaves(contract)) for contract in contracts]
    names = dict.fromkeys(name for leaves in found for name in leaves if not name.startswith(OF_NO_INTEREST))
    rows = ((name, [leaves.get(name) for leaves in found]) for name in names)
    return tuple(
        Difference(name, _apart(values)) for name, values in rows if any(value != values[0] for value in values)
    )


def _apart(values: Sequence[Any]) -> tuple[str | None, ...]:
    """Return values as texts; of lists of one length, what stands where they differ."""
    if all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
        places = [place for place in range(len(values[0])) if any(one[place] != values[0][place] for one in values)]
        return tuple(", ".join(f"[{place}] {_word(one[place])}" for place in places) for one in values)
    return tuple(map(_word, values))


def _word(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _run_side(run: Run, every_curve: bool) -> Side:
    known = run.document()
    outputs = run.run_dir / "outputs"
    contract = next((found for place in ("exported", "params") if (found := _contract_in(outputs / place))), {})
    return Side(
        name=run.name,
        facts={name: value for name, value in known.items() if name in FACTS},
        metrics=known["metrics"],
        settings=read_document(run.run_dir, "settings.json") or {},
        payload=read_document(run.run_dir, "payload.json") or {},
        contract=contract,
        run_dir=run.run_dir,
        history=_history(run, known["mlflow_run_id"], every_curve),
    )


def _policy_side(path: Path) -> Side:
    folder = path if path.is_dir() else path.parent
    places = [folder, folder / "exported", folder / "outputs" / "exported"]
    found = path if path.suffix == ".json" else None
    document = _read(found) if found else next((one for place in places if (one := _contract_in(place))), None)
    if not document:
        raise UsageError(
            f"there is no policy contract at '{path}'",
            source=str(path),
            allowed=f"a run's name, or an exported policy with its {CONTRACT_FILE}",
            hint="gaitway export CHECKPOINT --output DIR makes one",
        )
    return Side(name=str(path), facts={"task": document.get("task")}, contract=document)


def _contract_in(folder: Path) -> Mapping[str, object] | None:
    return _read(folder / CONTRACT_FILE)


def _read(path: Path) -> Mapping[str, object] | None:
    document = read_document(path.parent, path.name)
    return document if isinstance(document, Mapping) else None


def _history(run: Run, mlflow_run_id: str | None, whole: bool) -> Mapping[str, Sequence[tuple[float, float]]]:
    """Return the training curves of a run: unless all are wanted, of one here from its reports, which are faster."""
    found = {} if whole or run.platform.limits.remote else progress_curves(run.run_dir)
    return found or read_curves(run, mlflow_run_id).curves


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a contract; terms go by their name, not by their place."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) and "name" in item for item in value):
        yield name, [item["name"] for item in value]
        for item in value:
            yield from _leaves({key: item[key] for key in item if key != "name"}, f"{name}.{item['name']}")
    else:
        yield name, value
