"""``python -m gaitway_runtime --job job.json``: the stand-in's only way in.

``do=succeed`` (default) ``fail`` ``gate`` ``crash`` ``wait`` (until SIGTERM, then saves) ``stubborn`` (never ends);
``child=yes`` starts another process in the group first; ``report=yes`` tells progress first; ``bar=TEXT`` ends with a
progress bar that has no end, ``^`` for a carriage return.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from gaitway_runtime import WEIGHTS

LONGEST_S = 600.0
"""Longest life of a process that waits to be ended [s]."""
ERROR = {"message": "it broke", "from": "the stand-in", "allowed": None, "hint": "mend it", "exit_code": 1}


def main() -> int:
    folder = Path(sys.argv[sys.argv.index("--job") + 1]).parent
    document = json.loads((folder / "job.json").read_text())
    job, context = document["job"], document["context"]
    asked = dict(text.split("=", 1) for text in job["overrides"])
    outputs = folder / context["output_dir"]
    outputs.mkdir(exist_ok=True)
    print("started with", asked, flush=True)
    if asked.get("child"):
        held = tuple(map(int, filter(None, os.environ.get("GAITWAY_LOCKS", "").split(","))))
        child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({LONGEST_S})"], pass_fds=held)
        print("child", child.pid, flush=True)
    if asked.get("report"):
        report(outputs)
    code = globals()[asked.get("do", "succeed")](document, outputs)
    print(asked.get("bar", "").replace("^", "\r"), end="", flush=True)
    return code


def report(outputs: Path) -> None:
    progress = {"time": 0, "phase": "train", "iteration": 3, "total": 3, "reward": 1.5, "steps_per_s": 100.0}
    (outputs / "progress.jsonl").write_text(json.dumps(progress) + "\n")
    print("train 3/3 | reward 1.50", flush=True)


def succeed(document: dict, outputs: Path) -> int:
    report(outputs)
    (outputs / "checkpoints").mkdir()
    (outputs / "checkpoints" / "model_2.pt").write_bytes(WEIGHTS)
    checkpoint = {
        "uri": "runs:/0123/checkpoints/final/model_2.pt",
        "path": "checkpoints/model_2.pt",
        "iteration": 2,
        "sha256": "ab" * 32,
    }
    if document["kind"] == "validate":
        return end(document, outputs, "succeeded", 0, metrics={"mean_reward": 1.5}, passed=True)
    metrics = {"mean_reward": 1.5}
    return end(document, outputs, "succeeded", 0, final_checkpoint=checkpoint, iterations=3, steps=300, metrics=metrics)


def copy(document: dict, outputs: Path) -> int:
    """Copy input ``motions`` to output ``clips``."""
    source, target = Path(os.environ["GAITWAY_INPUT_MOTIONS"]), Path(os.environ["GAITWAY_OUTPUT_CLIPS"])
    (target / "copied.txt").write_text((source / "walk.txt").read_text())
    return succeed(document, outputs)


def learn(document: dict, outputs: Path) -> int:
    """Train as :mod:`.learning` does; ``diverge=RATE`` fails above a learning rate."""
    from gaitway_runtime.learning import learn as train

    asked = dict(text.split("=", 1) for text in document["job"]["overrides"])
    if float(asked.get("diverge", 1)) < float(asked["agent.algorithm.learning_rate"]):
        return fail(document, outputs)
    done, reward, stopped = train(document["job"], outputs.parent, outputs, asked)
    values = {
        "final_checkpoint": {
            "uri": None,
            "path": f"checkpoints/model_{done - 1}.pt",
            "iteration": done - 1,
            "sha256": "ab" * 32,
        },
        "iterations": done,
        "metrics": {"mean_reward": reward},
    }
    if stopped:
        return end(document, outputs, "cancelled", 130, error={**ERROR, "exit_code": 130}, **values)
    return end(document, outputs, "succeeded", 0, **values)


def fail(document: dict, outputs: Path) -> int:
    return end(document, outputs, "failed", 1, error=ERROR)


def gate_of_stage(document: dict, outputs: Path) -> int:
    """Fail the gate in the stage that judges, and succeed in the others."""
    return gate(document, outputs) if document["kind"] == "validate" else succeed(document, outputs)


def gate(document: dict, outputs: Path) -> int:
    error = {**ERROR, "message": "the gate was not met", "exit_code": 5}
    return end(document, outputs, "failed", 5, error=error, passed=False)


def crash(document: dict, outputs: Path) -> int:
    print("about to crash", flush=True)
    os._exit(9)


def wait(document: dict, outputs: Path) -> int:
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    print("ready", flush=True)
    deadline = time.monotonic() + LONGEST_S
    while not stop and time.monotonic() < deadline:
        time.sleep(0.01)
    print("saved", flush=True)
    return end(document, outputs, "cancelled", 130, error={**ERROR, "message": "asked to stop", "exit_code": 130})


def stubborn(document: dict, outputs: Path) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
    time.sleep(LONGEST_S)
    return 1


def end(document: dict, outputs: Path, status: str, code: int, **values: object) -> int:
    result = {
        "kind": document["kind"],
        "task": document["job"]["task"],
        "status": status,
        "exit_code": code,
        "seconds": 1.0,
        "final_checkpoint": None,
        "artifacts": [],
        "mlflow_run_id": "0123",
        "experiment": "isaaclab-rsl-rl-" + document["job"]["task"],
        **values,
    }
    partial = outputs / ".result"
    partial.write_text(json.dumps(result))
    partial.rename(outputs / "result.json")
    return code


if __name__ == "__main__":
    sys.exit(main())
