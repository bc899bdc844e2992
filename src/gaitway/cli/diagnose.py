"""``gaitway diagnose``: what differs between a robot's log and its policy's contract."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from gaitway_runtime.spec.packages import missing_package

from ..errors import UsageError
from . import output
from .command import SectionOption, VerbCommand, json_option

if TYPE_CHECKING:
    from gaitway_runtime.robot_logs.diagnose import Diagnosis


def _diagnose(log: str, policy: str, folder: str | None, as_json: bool) -> int:
    """Diagnose a log; the exit code is 1 when something was found."""
    found = _work(Path(log).expanduser(), Path(policy).expanduser(), Path(folder).expanduser() if folder else None)
    if as_json:
        output.document(found.document())
    else:
        _show(found)
    return 1 if found.faults else 0


def _work(log: Path, policy: Path, folder: Path | None) -> Diagnosis:
    """Do the work; what it needs is heavy and is imported here."""
    if not policy.is_file():
        raise UsageError(f"there is no policy {policy}", source="--policy")
    try:
        from gaitway_runtime.robot_logs.diagnose import diagnose_log
    except ModuleNotFoundError as error:
        raise missing_package("diagnose", error, "local", "logs") from None
    return diagnose_log(log, policy, plots=folder)


def _show(found: Diagnosis) -> None:
    output.answer(f"log         {found.log}: {found.rows} rows, {found.seconds:.1f} s")
    output.answer(f"policy      {found.policy}")
    for note in found.notes:
        output.say(note)
    for fault in found.faults:
        output.answer()
        output.answer(f"{fault.where}: {fault.cause}")
        output.answer(f"  measured  {fault.evidence}")
        if fault.advice:
            output.answer(f"  advice    {fault.advice}")
    if not found.faults:
        output.answer("nothing found: the robot ran the policy as its contract says")
    for line in found.unchecked:
        output.say(f"not checked: {line}")
    for path in found.plots:
        output.say(f"plot: {path}")


diagnose = VerbCommand(
    "diagnose",
    callback=_diagnose,
    params=[
        click.Argument(["log"], metavar="LOG"),
        SectionOption(
            ["--policy", "-p"],
            required=True,
            metavar="FILE",
            section="Core",
            help="The policy that ran: an exported policy.onnx or policy.pt, with its contract inside.",
        ),
        SectionOption(
            ["folder", "--output", "-o"], metavar="DIR", section="Core", help="Folder for plots of what was found."
        ),
        json_option(),
    ],
    help="LOG is a robot's log: .npz, .csv, .parquet, an .mcap file or a rosbag2 folder; docs/diagnose.md names its "
    "channels. It is replayed through the policy and the simulator; what differs from the contract is named: order, "
    "sign, frame, scale, offset, delay, gains, armature, friction, dropped frames. Exit code 1 when something is "
    "found.",
)
