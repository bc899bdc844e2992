"""Table of the verbs. A new one is a function with its options in some module of this package, and a row here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import click
    from gaitway_runtime.spec.registry import Registry


class Verb(NamedTuple):
    """Place of a verb in ``gaitway --help``, its purpose in a sentence, and where its command is."""

    section: str
    summary: str
    command: str
    """Reference ``module:attribute`` of the click command, imported when the verb is used."""


VERBS: dict[str, Verb] = {
    "train": Verb("Jobs", "Train a task: checkpoints, metrics, a registered model.", "gaitway.cli.jobs:train"),
    "validate": Verb(
        "Jobs", "Judge a checkpoint or a registered model by its task's success rule.", "gaitway.cli.jobs:validate"
    ),
    "infer": Verb(
        "Jobs",
        "Export a checkpoint, compare the exports with it, play and film each.",
        "gaitway.cli.jobs:infer",
    ),
    "ship": Verb(
        "Jobs", "Train, judge, export and register a policy; stop at a gate not met.", "gaitway.cli.jobs:ship"
    ),
    "sweep": Verb(
        "Jobs",
        "Train with varied settings: leaderboard, importances, winner's command.",
        "gaitway.cli.sweep:sweep",
    ),
    "export": Verb(
        "Jobs",
        "Turn a checkpoint into ONNX and TorchScript files that equal it.",
        "gaitway.cli.export:export",
    ),
    "dump-contract": Verb(
        "Jobs",
        "Write what a policy of a task sees and does in a simulator, with a short trace.",
        "gaitway.cli.jobs:dump_contract",
    ),
    "demo": Verb(
        "Jobs", "Train a task here, then infer it: from nothing to a film and a report.", "gaitway.cli.demo:demo"
    ),
    "diagnose": Verb(
        "Jobs",
        "Name what differs between a robot's log and its policy's contract.",
        "gaitway.cli.diagnose:diagnose",
    ),
    "exam": Verb(
        "Jobs",
        "Judge a policy of any origin: its conventions read or found, a card written.",
        "gaitway.cli.exam:exam",
    ),
    "release": Verb(
        "Jobs", "Make one signed folder of an exported policy that met its gate.", "gaitway.cli.release:release"
    ),
    "verify": Verb(
        "Jobs",
        "Check a release: signature, hashes, and that the verdict belongs to these weights.",
        "gaitway.cli.release:verify",
    ),
    "runs": Verb("Runs", "List the runs of this folder, on every platform.", "gaitway.cli.runs:runs"),
    "status": Verb("Runs", "Show how a run is doing, or how it ended.", "gaitway.cli.runs:status"),
    "logs": Verb("Runs", "Print a run's log.", "gaitway.cli.runs:logs"),
    "cancel": Verb("Runs", "Ask a run to save and stop.", "gaitway.cli.runs:cancel"),
    "download": Verb("Runs", "Copy a run's outputs here.", "gaitway.cli.runs:download"),
    "compare": Verb(
        "Runs", "Show what differs between runs, or between exported policies.", "gaitway.cli.compare:compare"
    ),
    "checkpoints": Verb(
        "Runs", "List checkpoints: addresses ready to paste, newest last.", "gaitway.cli.checkpoints:checkpoints"
    ),
    "sync": Verb(
        "Runs",
        "Send results that wait for their tracking server; copy files to or from a run.",
        "gaitway.cli.sync:sync",
    ),
    "exec": Verb("Runs", "Run a command, or a shell, where a run runs.", "gaitway.cli.inside:execute"),
    "port-forward": Verb("Runs", "Make a port of a run one of this machine.", "gaitway.cli.inside:port_forward"),
    "events": Verb("Runs", "Print what happened to a run beside its log.", "gaitway.cli.inside:events"),
    "restart": Verb("Runs", "Start again what has not succeeded.", "gaitway.cli.inside:restart"),
    "adopt": Verb("Runs", "Make a record of a run that another machine submitted.", "gaitway.cli.inside:adopt"),
    "watch": Verb("Runs", "Show a run's curves in a browser, as they grow.", "gaitway.cli.watch:watch"),
    "play": Verb("Look", "Drive a policy in a browser: one page that works offline.", "gaitway.cli.play:play"),
    "payload": Verb(
        "Look", "Show what would be shipped: files, sizes, hash, each platform's limit.", "gaitway.cli.config:payload"
    ),
    "tasks": Verb("Look", "List the embedded simulator's tasks with their sizes and gates.", "gaitway.cli.tasks:tasks"),
    "robot": Verb("Look", "Make a task of one's own robot, and check the robot.", "gaitway.cli.robot:robot"),
    "ui": Verb("Look", "Serve the MLflow UI on the local store.", "gaitway.cli.machine:ui"),
    "config": Verb(
        "Set-up",
        "Show every setting, its value, where it came from, and what it shadowed.",
        "gaitway.cli.config:config",
    ),
    "doctor": Verb(
        "Set-up",
        "Check tools, packages, credentials and stores, with the fix for each finding.",
        "gaitway.cli.machine:doctor",
    ),
    "completion": Verb(
        "Set-up", "Print the completion script of a shell: bash, zsh or fish.", "gaitway.cli.completion:completion"
    ),
    "version": Verb("Set-up", "Show the versions of gaitway and of what it works with.", "gaitway.cli.machine:version"),
}
"""Built-in verbs by name, in the order of ``--help``."""


def registry() -> Registry[click.Command]:
    """Return the verbs with those of installed packages (entry points of the group ``gaitway.commands``)."""
    from gaitway_runtime.spec.registry import Registry

    return Registry("gaitway.commands", "command", {name: verb.command for name, verb in VERBS.items()})
