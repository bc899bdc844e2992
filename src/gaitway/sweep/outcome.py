"""State of a sweep, wherever its trials run."""

from __future__ import annotations

from collections.abc import Mapping

from gaitway_runtime.spec.types import Json

from ..ledger import Ledger, read_document
from ..run_handle import Run
from ..variations import DESIGN_FILE, SweepDesign
from . import ranking
from .remote import remote_trials
from .study import SweepFolder, SweepStudy, find_sweep


def find_outcome(name: str, ledger: Ledger) -> dict[str, Json]:
    """Return the outcome of a sweep of this folder, here or on a platform, as ``--json`` prints it.

    Raises:
        UsageError: There is none of that name.
        GaitwayError: Its platform does not answer.
    """
    if name in ledger.names() and (ledger.run_dir(name) / DESIGN_FILE).exists():
        return _outcome_there(Run.of(ledger.read(name), ledger))
    return outcome_here(find_sweep(name, ledger))


def outcome_here(folder: SweepFolder) -> dict[str, Json]:
    """Return the outcome of a sweep on this machine."""
    known = folder.read() or {}
    design, settings = SweepDesign.from_document(known), known.get("settings")
    trials = SweepStudy(folder, design).trials()
    return ranking.document(folder.name, "local", design, trials, settings if isinstance(settings, Mapping) else {})


def _outcome_there(run: Run) -> dict[str, Json]:
    design = SweepDesign.from_document(read_document(run.run_dir, DESIGN_FILE) or {})
    settings = read_document(run.run_dir, "settings.json") or {}
    return ranking.document(run.name, run.record.platform, design, remote_trials(run, design), settings)
