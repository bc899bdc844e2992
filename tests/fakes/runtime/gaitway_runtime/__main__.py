"""``python -m gaitway_runtime --job job.json``: the stand-in's only way in.

``do=succeed`` (default) ``fail`` ``gate`` ``crash`` ``wait`` (until SIGTERM, then saves) ``stubborn`` (never ends);
``child=yes`` starts another process in the group first; ``report=yes`` tells progress first.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("child", child.pid, flush=True)
    if asked.get("report"):
        report(outputs)
    return globals()[asked.get("do", "succeed")](document, outputs)


def report(outputs: Path) -> None:
    progress = {"time": 0, "phase": "train", "iteration": 3, "total": 3, "reward": 1.5, "steps_per_s": 100.0}
    (outputs / "progress.jsonl").write_text(json.dumps(progress) + "\n")
    print("train 3/3 | reward 1.50", flush=True)


def succeed(document: dict, outputs: Path) -> int:
    report(outputs)
    (outputs / "checkpoints").mkdir()
    (outputs / "checkpoints" / "model_2.pt").write_bytes(b"weights")
    checkpoint = {
        "uri": "runs:/0123/checkpoints/final/model_2.pt",
        "path": "checkpoints/model_2.pt",
        "iteration": 2,
        "sha256": "ab" * 32,
    }
    return end(document, outputs, "succeeded", 0, final_checkpoint=checkpoint, iterations=3, steps=300)


def fail(document: dict, outputs: Path) -> int:
    return end(document, outputs, "failed", 1, error=ERROR)


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
    while not stop:
        time.sleep(0.01)
    print("saved", flush=True)
    return end(document, outputs, "cancelled", 130, error={**ERROR, "message": "asked to stop", "exit_code": 130})


def stubborn(document: dict, outputs: Path) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        time.sleep(1)


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
