"""What differs between two runs, or between two exported policies. Reads files alone; imports no runtime."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .errors import UsageError
from .handles import Run
from .ledger import Ledger, read_document
from .planning import Change, file_changes, setting_changes

CONTRACT_FILE = "contract.json"
FACTS = ("kind", "task", "platform", "status", "passed", "iterations", "seconds")
"""What is said of a run beside its metrics."""

OF_NO_INTEREST = ("source", "network.normalizer.mean", "network.normalizer.std", "robot.model_sha256")
"""Parts of a contract that differ from training to training without meaning anything to a deployer."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two."""

    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The ``settings.json`` document."""
    payload: Mapping[str, Any] = field(default_factory=dict)
    """The ``payload.json`` document."""
    contract: Mapping[str, Any] = field(default_factory=dict)
    history: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    """Training curves, ``(iteration, value)`` pairs by name."""


@dataclass(frozen=True)
class Pair:
    """A number that at least one of the two has."""

    metric: str
    a: float | None
    b: float | None

    @property
    def difference(self) -> float | None:
        """How much more the second has."""
        return None if self.a is None or self.b is None else self.b - self.a


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that differs. A part that one of the two does not have is None."""

    a: Side
    b: Side
    metrics: tuple[Pair, ...] | None
    """All numbers, equal ones included."""
    settings: tuple[Change, ...] | None
    files: tuple[Change, ...] | None
    """Files of the payload."""
    contract: tuple[Change, ...] | None

    def document(self) -> dict[str, Any]:
        """Return the comparison as ``--json`` prints it."""
        shown = {
            side: {"name": one.name, **one.facts, "payload_sha256": one.payload.get("sha256")}
            for side, one in (("a", self.a), ("b", self.b))
        }
        changes = {"settings": self.settings, "payload_files": self.files, "contract": self.contract}
        return {
            **shown,
            "metrics": None
            if self.metrics is None
            else [{**asdict(pair), "difference": pair.difference} for pair in self.metrics],
            **{
                name: None if found is None else [asdict(change) for change in found] for name, found in changes.items()
            },
        }


def compare(a: Side, b: Side) -> Comparison:
    """Return what differs between two sides."""
    settings = setting_changes(a.settings, b.settings) if a.settings and b.settings else None
    files = file_changes(a.payload, b.payload) if a.payload and b.payload else None
    contract = contract_changes(a.contract, b.contract) if a.contract and b.contract else None
    metrics = metric_pairs(a.metrics, b.metrics) if a.metrics and b.metrics else None
    return Comparison(a=a, b=b, metrics=metrics, settings=settings, files=files, contract=contract)


def metric_pairs(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Return the numbers of two metrics documents side by side, by dotted name."""
    ours, theirs = dict(_numbers(a)), dict(_numbers(b))
    return tuple(Pair(name, ours.get(name), theirs.get(name)) for name in dict.fromkeys((*ours, *theirs)))


def find_side(text: str, ledger: Ledger) -> Side:
    """Return what a name stands for: a run of this folder, or the place of an exported policy.

    Args:
        text: A run's name; an exported file, its contract, or a folder that holds one.
        ledger: The runs of this folder.

    Raises:
        UsageError: It is neither.
    """
    path = Path(text)
    if path.exists() and text not in ledger.names():
        return _policy_side(path)
    return _run_side(Run(ledger.read(text), ledger))


def contract_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the fields of two policy contracts that differ, by dotted name; of a list, the entries that do."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    names = (name for name in dict.fromkeys((*old, *new)) if not name.startswith(OF_NO_INTEREST))
    return tuple(
        Change(name, *_apart(old.get(name), new.get(name))) for name in names if old.get(name) != new.get(name)
    )


def _apart(before: Any, after: Any) -> tuple[str | None, str | None]:
    """Return two values as texts; of two lists of one length, what stands where they differ."""
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        places = [place for place in range(len(before)) if before[place] != after[place]]
        old, new = (", ".join(f"[{place}] {_word(one[place])}" for place in places) for one in (before, after))
        return old, new
    return _word(before), _word(after)


def _word(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _run_side(run: Run) -> Side:
    known = run.document()
    outputs = run.run_dir / "outputs"
    contract = next((found for place in ("exported", "params") if (found := _contract_in(outputs / place))), {})
    return Side(
        name=run.name,
        facts={name: known[name] for name in FACTS},
        metrics=known["metrics"],
        settings=read_document(run.run_dir, "settings.json") or {},
        payload=read_document(run.run_dir, "payload.json") or {},
        contract=contract,
        history=_history(outputs / "progress.jsonl"),
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


def _contract_in(folder: Path) -> Mapping[str, Any] | None:
    return _read(folder / CONTRACT_FILE)


def _read(path: Path) -> Mapping[str, Any] | None:
    document = read_document(path.parent, path.name)
    return document if isinstance(document, Mapping) else None


def _history(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Return the training curves of a progress file; nothing where there is none."""
    curves: dict[str, list[tuple[float, float]]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return curves
    for line in lines:
        record = _record(line)
        if record.get("phase") == "train" and "iteration" in record:
            for name in ("reward", "episode_length"):
                if name in record:
                    curves.setdefault(name, []).append((record["iteration"], record[name]))
    return curves


def _record(line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        # The last line of a run that was killed may be half of one.
        return {}
    return found if isinstance(found, Mapping) else {}


def _numbers(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + name, value


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
