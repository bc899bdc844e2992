"""Sources of a drive page: a run, a checkpoint, or an exported policy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gaitway_runtime.spec.packages import missing_package

from ..checkpoints import references
from ..errors import ConfigError, GaitwayError, UsageError
from ..exporting import export_checkpoint
from ..ledger import Ledger, read_document
from ..run_handle import Run

PAGE = "drive.html"
ONNX = "policy.onnx"
LINK_PLACE = "<!-- place for the link to drive.html -->"
"""Place in a report for the link to the page."""
LINK = f'<p><a href="{PAGE}">Drive this policy in the browser</a></p>'


@contextmanager
def policy_of(
    target: str, ledger: Ledger, task: str | None, say: Callable[[str], object] = print
) -> Iterator[tuple[Path, str]]:
    """Yield the exported policy of a run, a checkpoint or a file, and its task.

    Raises:
        GaitwayError: There is no such policy, or its task is not known.
    """
    from gaitway_runtime.evaluation.drive_graph import task_of

    path = Path(target).expanduser()
    found = [place for place in (path, path / ONNX, path / "exported" / ONNX) if place.is_file()]
    if target in ledger.names():
        run = Run(ledger.read(target), ledger)
        exported = run.run_dir / "outputs" / "exported" / ONNX
        if exported.is_file():
            yield exported, task or run.record.task
            return
        target, task = _checkpoint_of(run), task or run.record.task
    elif found and found[0].suffix == ".onnx":
        yield found[0], task or task_of(found[0])
        return
    with _exported(target, ledger, say) as policy:
        yield policy, task or task_of(policy)


def page_of_run(run: Run, task: str | None = None, say: Callable[[str], object] = print) -> Path:
    """Write the drive page of a run of this machine, among its outputs, and return it.

    Raises:
        GaitwayError: The run has no policy, or the page cannot hold it; the error says why.
    """
    outputs = run.run_dir / "outputs"
    if run.platform.limits.remote and not (outputs / "exported" / ONNX).is_file():
        run.fetch(outputs, f"exported/{ONNX}")
    target = outputs / PAGE
    exported = outputs / "exported" / ONNX
    if exported.is_file():
        return _write(exported, task or run.record.task, target)
    with _exported(_checkpoint_of(run), run.ledger, say) as policy:
        return _write(policy, task or run.record.task, target)


def page_of(target: str, ledger: Ledger, output: Path, task: str | None, say: Callable[[str], object] = print) -> Path:
    """Write the drive page of an exported policy or a checkpoint, and return it.

    Args:
        target: A ``policy.onnx``, a folder that holds one, or a checkpoint's address.
        ledger: Runs whose checkpoints can be named.
        output: File to write.
        task: Name of the task; told by the policy's contract when None.
        say: Called with what the user should know of a fetch.

    Raises:
        GaitwayError: There is no such policy, its task is not known, or the page cannot hold it.
    """
    path = Path(target).expanduser()
    found = [place for place in (path, path / ONNX, path / "exported" / ONNX) if place.is_file()]
    if found and found[0].suffix == ".onnx":
        return _write(found[0], task, output)
    with _exported(target, ledger, say) as policy:
        return _write(policy, task, output)


def add_page(run: Run, say: Callable[[str], object] = print) -> Path | None:
    """Write the drive page of a run that has ended and show its link in the report.

    A run whose policy the page cannot hold gets none; the reason is said.
    """
    try:
        page = page_of_run(run, say=say)
    except GaitwayError as error:
        say(f"no {PAGE}: {error.message}")
        return None
    report = run.run_dir / "outputs" / "report.html"
    if report.is_file():
        text = report.read_text(encoding="utf-8")
        report.write_text(text.replace(LINK_PLACE, LINK, 1), encoding="utf-8")
    return page


def _write(policy: Path, task: str | None, target: Path) -> Path:
    """Write the page of an exported policy; its task is told by its contract where none is named."""
    try:
        from gaitway_runtime.evaluation.drive_graph import task_of

        from .page import write_drive_page
    except ModuleNotFoundError as error:
        raise missing_package("the drive page", error, "local") from None
    try:
        return write_drive_page(policy, task or task_of(policy), target)
    except OSError as error:
        raise ConfigError(f"the page cannot be written: {error.strerror}", source=str(target)) from None


@contextmanager
def _exported(checkpoint: str, ledger: Ledger, say: Callable[[str], object]) -> Iterator[Path]:
    """Yield the ONNX export of a checkpoint."""
    with tempfile.TemporaryDirectory(prefix="gaitway-") as folder:
        address = references.resolve(checkpoint, ledger)
        yield export_checkpoint(address, Path(folder), format="onnx", say=say).files["onnx"]


def _checkpoint_of(run: Run) -> str:
    """Return the checkpoint that a run judged, or the best or last one that it made."""
    if run.record.kind == "train":
        return f"{run.name}@latest"
    job = (read_document(run.run_dir, "job.json") or {}).get("job", {})
    if not job.get("checkpoint_uri"):
        raise UsageError(f"run '{run.name}' names no checkpoint to drive", hint="gaitway play CHECKPOINT")
    return str(job["checkpoint_uri"])
