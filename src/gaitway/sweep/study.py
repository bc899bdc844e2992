"""Store of a local sweep: what was asked, and Optuna's record of its trials. One command at a time writes into it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gaitway_runtime.spec.packages import missing_package
from gaitway_runtime.spec.result import write_json
from gaitway_runtime.spec.types import Json, JsonObject

from .. import locks
from ..errors import UsageError, nearest
from ..ledger import NAME, Ledger, read_document
from ..variations import DESIGN_FILE, Assignment, SweepDesign, Variation
from .ranking import COMPLETED, FAILED, PRUNED, RUNNING, SweepTrial

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

IDENTITY = ("vary", "seeds", "objective", "direction", "prune", "values")
"""What two commands of one sweep have in common; how many trials, and how many at a time, may differ."""

SWEEPS = "sweeps"
JOURNAL_FILE, LOCK_FILE = "optuna.journal", "lock"
PRUNE_MARK, REASON, VALUES, RUNS = "prune", "reason", "values", "runs"
"""Attributes of a trial: that it is being ended early, why it failed, its value by seed, its runs."""


@dataclass(frozen=True)
class SweepFolder:
    """Folder of a sweep below the home."""

    name: str
    path: Path

    @classmethod
    def of(cls, name: str, ledger: Ledger) -> SweepFolder:
        """Return the folder of a sweep, there or not.

        Raises:
            UsageError: The name cannot be one of a sweep.
        """
        if not NAME.fullmatch(name):
            raise UsageError(f"'{name}' cannot be the name of a sweep", source="--name")
        return cls(name, ledger.home / SWEEPS / name)

    def read(self) -> JsonObject | None:
        """Return what was asked, or None where there is no such sweep."""
        return read_document(self.path, DESIGN_FILE)

    def begin(self, document: Mapping[str, Json]) -> bool:
        """Write down what was asked, and return whether an earlier command has begun the same sweep.

        Raises:
            UsageError: There is a sweep of that name, and it is another one.
        """
        known = self.read()
        changed = [key for key in IDENTITY if known is not None and known.get(key) != document.get(key)]
        if changed:
            raise UsageError(
                f"sweep '{self.name}' is another one: {', '.join(changed)} differ",
                source="--name",
                hint=f"gaitway sweep show {self.name}; another name begins a new sweep",
            )
        write_json(dict(document), self.path / DESIGN_FILE)
        return known is not None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands out; the lock is free as soon as this process has ended, in whatever way.

        Raises:
            UsageError: Another command has it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = self.path / LOCK_FILE
        if not locks.take(lock):
            raise UsageError(f"sweep '{self.name}' runs in another command", hint=f"gaitway sweep show {self.name}")
        try:
            yield
        finally:
            locks.release(lock)


def find_sweep(name: str, ledger: Ledger) -> SweepFolder:
    """Return the folder of a local sweep.

    Raises:
        UsageError: There is none of that name; the error names the nearest.
    """
    folder = SweepFolder.of(name, ledger)
    if folder.read() is None:
        known = [path.name for path in (ledger.home / SWEEPS).glob("*") if path.is_dir()]
        close = nearest(name, known)
        hint = f"did you mean {close}?" if close else "gaitway sweep train --help"
        raise UsageError(f"there is no sweep '{name}'", source=str(ledger.home / SWEEPS), hint=hint)
    return folder


class SweepStudy:
    """Optuna's study of a sweep, in a journal file that survives any end of the process that writes it.

    Args:
        folder: The sweep's folder; whoever writes holds its lock.
        design: What the sweep tries.

    Raises:
        ConfigError: Optuna is not installed.
    """

    def __init__(self, folder: SweepFolder, design: SweepDesign) -> None:
        optuna = _optuna()
        self.design = design
        journal = folder.path / JOURNAL_FILE
        _cut_unfinished_line(journal)
        storage = optuna.storages.JournalStorage(
            optuna.storages.journal.JournalFileBackend(str(journal), lock_obj=_NoLock())
        )
        self._study = optuna.create_study(
            study_name=folder.name,
            storage=storage,
            direction=design.direction,
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
        )
        self._assignments = design.assignments() if design.is_grid else []

    def unfinished(self) -> list[Trial]:
        """Return the trials that an earlier command began and did not end, oldest first."""
        return [self._opened(frozen) for frozen in self._frozen() if frozen.state.name == "RUNNING"]

    def begin(self) -> Trial | None:
        """Return a new trial, or None where all have begun."""
        trials = self._frozen()
        waiting = next((frozen.number for frozen in trials if frozen.state.name == "WAITING"), None)
        number = len(trials) if waiting is None else waiting
        if number >= self.design.trials:
            return None
        if waiting is None and self.design.is_grid:
            self._study.enqueue_trial(dict(self._assignments[number]))
        self._study.sampler = self._sampler(number)
        trial: Trial = self._study.ask()
        return trial

    def values_of(self, trial: Trial) -> Assignment:
        """Return a trial's values: those that it has, else those that are drawn now."""
        return {found.key: _suggested(trial, found) for found in self.design.variations}

    def newest_report(self, trial: Trial) -> float:
        """Return the newest iteration that was reported of a trial; -1 before the first."""
        return max(self._frozen()[trial.number].intermediate_values, default=-1)

    def end(self, trial: Trial, status: str, value: float | None = None) -> None:
        """Record how a trial ended."""
        states = _optuna().trial.TrialState
        state = {COMPLETED: states.COMPLETE, PRUNED: states.PRUNED, FAILED: states.FAIL}[status]
        self._study.tell(trial.number, value if status == COMPLETED else None, state=state)

    def trials(self) -> list[SweepTrial]:
        """Return what is known of every trial, in the order in which they began."""
        return [_read(frozen, self.design) for frozen in self._frozen()]

    def _frozen(self) -> Sequence[FrozenTrial]:
        found: Sequence[FrozenTrial] = self._study.get_trials(deepcopy=False)
        return found

    def _opened(self, frozen: FrozenTrial) -> Trial:
        """Return a trial of an earlier command, whose values may not have been drawn yet."""
        self._study.sampler = self._sampler(frozen.number)
        trial: Trial = _optuna().trial.Trial(self._study, frozen._trial_id)
        return trial

    def _sampler(self, number: int) -> BaseSampler:
        """Return what draws the values of a trial; the same number has the same dice in every command."""
        seed, startup = self.design.seeds[0] + number, max(3, min(10, self.design.trials // 3))
        chosen: BaseSampler = _optuna().samplers.TPESampler(
            seed=seed, n_startup_trials=startup, constant_liar=(self.design.parallel or 1) > 1
        )
        return chosen


class _NoLock:
    """The lock of a journal that one process alone writes: the sweep's own lock sees to that."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return


def _suggested(trial: Trial, variation: Variation) -> str:
    if variation.kind == "choice":
        return str(trial.suggest_categorical(variation.key, list(variation.choices)))
    if variation.kind == "int":
        return str(trial.suggest_int(variation.key, round(variation.low), round(variation.high)))
    drawn = trial.suggest_float(variation.key, variation.low, variation.high, log=variation.kind == "log")
    return variation.as_text(drawn)


def _read(frozen: FrozenTrial, design: SweepDesign) -> SweepTrial:
    states = {"COMPLETE": COMPLETED, "PRUNED": PRUNED, "FAIL": FAILED}
    attributes: Mapping[str, Any] = frozen.user_attrs
    given = {key: value for key, value in frozen.params.items() if value is not None}
    as_text = {found.key: found.as_text for found in design.variations}
    return SweepTrial(
        number=frozen.number,
        status=states.get(frozen.state.name, RUNNING),
        values={key: value if isinstance(value, str) else as_text[key](value) for key, value in given.items()},
        by_seed=tuple(attributes.get(VALUES, {}).values()),
        runs=tuple(attributes.get(RUNS, ())),
        reason=str(attributes.get(REASON, "")),
    )


def _cut_unfinished_line(journal: Path) -> None:
    """Cut off the last line of a journal whose writer was killed in the middle of it."""
    if not journal.exists():
        return
    content = journal.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(journal, whole)


def _optuna() -> Any:
    """Return Optuna, which most commands do without.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise missing_package("a sweep on this machine", error, "local") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
