"""``gaitway exam``: judge a policy of any origin, with its conventions read or found."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from gaitway_runtime.spec.packages import missing_package

from ..checkpoints import references
from ..errors import ConfigError, UsageError
from ..ledger import Ledger
from ..platforms.base import load
from . import output
from .command import SectionOption, VerbCommand, json_option

if TYPE_CHECKING:
    from gaitway_runtime.exam.outcome import Exam

GATE_NOT_MET = 5
"""Exit code of a policy that does not meet its gate."""
_FILES = (".onnx", ".pt", ".pth", ".zip", ".yaml")


def _exam(
    policy: str,
    robot: str | None,
    task: str | None,
    contract: str | None,
    folder: str | None,
    budget: float | None,
    find: bool,
    sweep: bool,
    film: bool,
    imports: tuple[str, ...],
    key: str | None,
    activation: str | None,
    as_json: bool,
) -> int:
    """Examine a policy; the exit code is 5 when the gate is not met."""
    if robot and task:
        raise UsageError("a task names its robot", source="--robot, --task", allowed="one of the two")
    if budget is not None and not 1 <= budget <= 86_400:
        raise UsageError(f"a search of {budget:g} s cannot be", source="--budget", allowed="1 to 86400")
    with ExitStack() as stack:
        file = _file_of(policy, stack)
        if key is not None:
            from ..signatures.verification import verify_member  # needs the signing library

            verify_member(file, Path(key).expanduser(), source="--require-signed")
        made = _work(
            imports,
            policy=file,
            output=Path(folder or "outputs/exam").expanduser(),
            robot=robot,
            task=task,
            contract=Path(contract).expanduser() if contract else None,
            find=find,
            sweep=sweep,
            film=film,
            activation=activation,
            **({} if budget is None else {"budget": budget}),
        )
    document = made.document()
    if as_json:
        output.document(document)
    else:
        _show(made)
    return GATE_NOT_MET if document["gate"] == "gate not met" else 0


def _file_of(policy: str, stack: ExitStack) -> Path:
    """Return the file of a policy: a path, or a checkpoint that is fetched."""
    path = Path(policy).expanduser()
    if path.is_dir():
        places = (path / "policy.onnx", path / "exported" / "policy.onnx", *sorted(path.glob("*.yaml")))
        path = next((place for place in places if place.is_file()), path)
    if path.is_file():
        return path
    if path.suffix in _FILES and "://" not in policy and not policy.startswith(("runs:", "models:")):
        raise UsageError(f"there is no policy {policy}", source="POLICY")
    address = references.resolve(policy, Ledger.at_home(os.environ), source_of=load)
    from gaitway_runtime.fetch import fetch

    downloads = stack.enter_context(tempfile.TemporaryDirectory(prefix="gaitway-"))
    fetched = fetch(address, Path(downloads))
    if fetched.note:
        output.say(fetched.note)
    return fetched.path


def _work(imports: tuple[str, ...], **asked: Any) -> Exam:
    """Do the work; what it needs is heavy and is imported here."""
    try:
        from gaitway_runtime.exam.examine import ExamRequest, examine
        from gaitway_runtime.simulators.base import import_task_modules
    except ModuleNotFoundError as error:
        raise missing_package("exam", error, "local") from None
    import_task_modules(imports)
    try:
        return examine(ExamRequest(**asked), output.say)
    except OSError as error:
        raise ConfigError(f"the card cannot be written: {error.strerror or error}", source="--output") from None


def _show(made: Exam) -> None:
    document = made.document()
    output.answer(f"policy      {document['policy']}: {made.file.kind}, {made.confined}")
    for assumption in made.assumptions:
        output.answer(f"            assumed: {assumption}")
    output.answer(f"robot       {made.task.robot}, task {made.task.name}")
    output.answer(f"conventions {made.source}")
    for decision in made.search.decisions if made.search else ():
        output.answer(f"  {decision.convention:<26}{decision.found}")
        near = f"; next best: {decision.runner_up} ({decision.runner_up_score:.2f} against {decision.score:.2f})"
        output.answer(f"  {'':<26}{decision.sure}{near if decision.runner_up else ''}")
        if decision.settles:
            output.answer(f"  {'':<26}settled by {decision.settles}")
    output.answer(f"verdict     {made.gate.value}; {made.score:.0f} points of 100")
    for reason in made.reasons:
        output.answer(f"            {reason}")
    for hazard in made.hazards:
        output.answer(f"hardware    {hazard.what}: {hazard.measured}")
    output.answer(f"card        {document['card']}")


exam = VerbCommand(
    "exam",
    callback=_exam,
    params=[
        click.Argument(["policy"], metavar="POLICY"),
        SectionOption(["--robot", "-r"], metavar="NAME", section="Core", help="Robot, where the policy does not say."),
        SectionOption(
            ["--task", "-t"], metavar="NAME", section="Core", help="Task that commands it, in place of --robot."
        ),
        SectionOption(
            ["--contract"],
            metavar="FILE",
            section="Core",
            help="Its conventions: a contract.json, IO_descriptors.yaml or deploy.yaml; else inside or beside it.",
        ),
        SectionOption(
            ["--find/--no-find"],
            default=False,
            section="Core",
            help="Look for its conventions although it brings a description of them.",
        ),
        SectionOption(
            ["--budget"], type=float, metavar="SECONDS", section="Core", help="CPU time that looking may take. [75]"
        ),
        SectionOption(
            ["folder", "--output", "-o"], metavar="DIR", section="Core", help="Folder for the card. [outputs/exam]"
        ),
        SectionOption(
            ["--sweep/--no-sweep"],
            default=True,
            section="Core",
            help="Also strain it: pushes, delays, payload, ground.",
        ),
        SectionOption(["--film/--no-film"], default=True, section="Core", help="Also film it."),
        SectionOption(
            ["imports", "--import"],
            multiple=True,
            metavar="NAME",
            section="Core",
            help="Module that registers a robot and task of your own; repeatable.",
        ),
        SectionOption(
            ["key", "--require-signed"],
            metavar="KEY",
            section="Core",
            help="Public key, PEM; the policy must lie in a release that was signed with it.",
        ),
        SectionOption(
            ["--activation"],
            metavar="NAME",
            section="Core",
            help="Activation of a checkpoint's network, where nothing beside it tells.",
        ),
        json_option(),
    ],
    help="POLICY is an ONNX file, a TorchScript file, a LEAPP bundle, a whole loop or a checkpoint, of any origin. Its "
    "conventions (order of terms and joints, scales, default pose, frames, history, gains) are read where somebody "
    "wrote them down, else found by experiment in the embedded simulator. It is then played, strained and judged, and "
    "a card is written: "
    "exam.html, exam.json. Exit code 5 when the gate is not met.",
)
