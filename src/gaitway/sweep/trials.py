"""Trials of a sweep on this machine: each of its runs is launched, followed, resumed after any end, and pruned."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gaitway_runtime.spec.job import TrainJob

from .. import locks
from ..checkpoints.checkpoint import latest
from ..checkpoints.run_folder import RunFolder
from ..errors import GateFailed
from ..ledger import RECORD_FILE, Ledger
from ..planning import launch
from ..preparation import Asked, prepare
from ..run_handle import Run
from ..status import RunStatus, StatusReport
from ..variations import Assignment, SweepDesign
from .asked import of_trial
from .objective import final_value, is_reported, objective_curve
from .ranking import COMPLETED, FAILED, PRUNED
from .study import PRUNE_MARK, REASON, RUNS, VALUES, SweepFolder, SweepStudy

if TYPE_CHECKING:
    from optuna.trial import Trial

POLL_S = 0.1
"""Pause between two looks at the trials [s]."""

LOOK_EVERY_S = 5.0
"""Pause between two questions to the tracking server for the objective of a run [s]."""

MOST_RESTARTS = 5
"""How often one command starts a run again that ended without a result."""

FIRST_SHARE = 0.2
"""Share of a training before which no trial is pruned."""


@dataclass
class LocalSweep:
    """A sweep whose trials are runs of this machine.

    Whatever ends the command or a run, the next command finds every trial in Optuna's record, and its runs in the
    ledger by their names: it follows those that go on and resumes the others.
    """

    asked: Asked
    design: SweepDesign
    folder: SweepFolder
    ledger: Ledger
    environ: Mapping[str, str]
    say: Callable[[str], object]

    def run(self) -> None:
        """Go through all trials.

        Raises:
            GaitwayError: The objective is not among what the first run reports, or a run cannot be launched.
        """
        study = SweepStudy(self.folder, self.design)
        waiting = study.unfinished()
        active: list[_TrialWork] = []
        try:
            while True:
                while len(active) < (self.design.parallel or 1):
                    trial = waiting.pop(0) if waiting else study.begin()
                    if trial is None:
                        break
                    active.append(self._begin(study, trial))
                if not active:
                    return
                active = [work for work in active if not work.advance()]
                time.sleep(POLL_S if active else 0)
        except KeyboardInterrupt:
            self.say("stopping: the runs save first; the same command continues the sweep")
            for work in active:
                work.stop()
            raise

    def _begin(self, study: SweepStudy, trial: Trial) -> _TrialWork:
        values = study.values_of(trial)
        shown = " ".join(f"{key}={value}" for key, value in values.items())
        self.say(f"trial {trial.number + 1} of {self.design.trials}: {shown}")
        return _TrialWork(self, study, trial, values, reported=study.newest_report(trial))


@dataclass
class _TrialWork:
    """A trial that is worked on: its runs one after the other, one for each seed."""

    sweep: LocalSweep
    study: SweepStudy
    trial: Trial
    values: Assignment
    restarts: int = 0
    reported: float = -1.0
    """Newest iteration that was reported for pruning."""
    next_look: float = 0.0
    """Time before which the tracking server is not asked for the objective again."""
    by_seed: dict[int, float] = field(default_factory=dict)

    def advance(self) -> bool:
        """Look at the current run; launch, resume or end it. Return whether the trial has ended."""
        run = self._newest() or self._launch(1, {})
        report = run.status()
        behind = self._falls_behind(run, report)
        if behind and not report.status.ended:
            run.cancel()
            report = run.status()
        if not report.status.ended:
            return False
        if self.trial.user_attrs.get(PRUNE_MARK):
            return self._end(PRUNED, f"pruned at iteration {self.trial.user_attrs[PRUNE_MARK]:g}")
        result = report.result
        judged = result is not None and result.exit_code in (0, GateFailed.exit_code) and result.status != "cancelled"
        if not judged:
            return self._again(run, report)
        self.by_seed[self._seed] = final_value(run, report, self.sweep.design.objective)
        self._note(run)
        if len(self.by_seed) < len(self.sweep.design.seeds):
            return False
        return self._end(COMPLETED)

    def stop(self) -> None:
        """Let the current run save and stop."""
        run = self._newest()
        if run and not run.status().status.ended:
            run.cancel()

    @property
    def _seed(self) -> int:
        return self.sweep.design.seeds[len(self.by_seed)]

    def _name(self, attempt: int) -> str:
        """Return the name of a run of this trial: the sweep's, the trial's number, seed and attempt where several."""
        name = f"{self.sweep.folder.name}-{self.trial.number + 1:03d}"
        name += f"-s{self._seed}" if len(self.sweep.design.seeds) > 1 else ""
        return name if attempt == 1 else f"{name}-a{attempt}"

    def _attempts(self) -> int:
        """Return how many runs there have been of this trial and seed."""
        count = 0
        while self.sweep.ledger.run_dir(self._name(count + 1)).is_dir():
            count += 1
        return count

    def _newest(self) -> Run | None:
        """Return the newest run of this trial and seed, if there is one."""
        count = self._attempts()
        if not count:
            return None
        name = self._name(count)
        run_dir = self.sweep.ledger.run_dir(name)
        if not (run_dir / RECORD_FILE).exists() and locks.is_taken(locks.of_run(run_dir)) is False:
            # A command that was killed while it launched the run has left a folder without a record.
            self.sweep.ledger.discard(name)
            return self._newest()
        return Run(self.sweep.ledger.read(name), self.sweep.ledger)

    def _launch(self, attempt: int, more: Mapping[str, str]) -> Run:
        asked = of_trial(self.sweep.asked, self.values, self._seed)
        given = {**asked.values, "run_name": self._name(attempt), **more}
        prepared = prepare(Asked(TrainJob, given), self.sweep.environ)
        return Run(launch(prepared, self.sweep.environ), self.sweep.ledger)

    def _again(self, run: Run, report: StatusReport) -> bool:
        """Resume a run that was ended from outside; a run that failed by itself ends the trial."""
        error = report.result.error if report.result and report.status is RunStatus.FAILED else None
        if error or self.restarts >= MOST_RESTARTS:
            reason = str(error["message"]) if error else f"ended {self.restarts + 1} times: {report.detail}"
            self._note(run)
            return self._end(FAILED, reason)
        self.restarts += 1
        newest = latest(RunFolder.at(run.record, run.run_dir).checkpoints())
        if newest is None and report.result is None:
            # It has left nothing: the trial begins anew under the same name.
            self.sweep.ledger.remove(run.name)
            self.sweep.say(f"{run.name} ended before its first checkpoint ({report.detail}): it begins anew")
            self._launch(self._attempts() + 1, {})
            return False
        more = {"checkpoint_uri": newest.uri, "checkpoint_mode": "resume"} if newest else {}
        following = self._launch(self._attempts() + 1, more)
        self.sweep.say(f"{run.name} was ended ({report.detail}): {following.name} continues it")
        return False

    def _falls_behind(self, run: Run, report: StatusReport) -> bool:
        """Report what the run has reached, and return whether the trial does worse than the median at that point.

        The first seed decides. A run that has ended is reported to its end, for those after it to be compared with.
        """
        design = self.sweep.design
        if self.trial.user_attrs.get(PRUNE_MARK):
            return True
        if not design.prune or self.by_seed or not self._is_time(report):
            return False
        curve, total = objective_curve(run, design.objective)
        for iteration, value in curve:
            if iteration <= self.reported:
                continue
            self.reported = iteration
            self.trial.report(value, int(iteration))
            if iteration >= FIRST_SHARE * total and not report.status.ended and self.trial.should_prune():
                self.trial.set_user_attr(PRUNE_MARK, iteration)
                return True
        return False

    def _is_time(self, report: StatusReport) -> bool:
        """Whether the objective is to be looked at now: what MLflow has to be asked for is not at every look."""
        now = time.monotonic()
        if not (is_reported(self.sweep.design.objective) or report.status.ended or now >= self.next_look):
            return False
        self.next_look = now + LOOK_EVERY_S
        return True

    def _note(self, run: Run) -> None:
        """Keep in Optuna's record which runs the trial has, and their values."""
        known = self.trial.user_attrs.get(RUNS, [])
        self.trial.set_user_attr(RUNS, [*known, run.name] if run.name not in known else known)
        self.trial.set_user_attr(VALUES, {str(seed): value for seed, value in self.by_seed.items()})

    def _end(self, status: str, reason: str = "") -> bool:
        if reason:
            self.trial.set_user_attr(REASON, reason)
        values = list(self.by_seed.values())
        mean = sum(values) / len(values) if values else None
        self.study.end(self.trial, status, mean)
        words = f"{self.sweep.design.objective} {mean:.4g}" if status == COMPLETED and mean is not None else reason
        self.sweep.say(f"trial {self.trial.number + 1} of {self.sweep.design.trials} {status}: {words}")
        return True
