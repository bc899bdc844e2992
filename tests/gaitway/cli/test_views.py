"""How a run is shown to people: the numbers they look at first."""

from pathlib import Path

from gaitway.cli.output import run

NOTHING = dict.fromkeys(("url", "iterations", "steps", "final_checkpoint", "registered_model", "passed"))


def shown(task: str, metrics: dict, run_dir: str = "/runs/r") -> dict[str, str]:
    """Return the shown facts of a run with some metrics, by label."""
    return facts({"status": "succeeded", "task": task, "metrics": metrics, "run_dir": run_dir})


def facts(more: dict) -> dict[str, str]:
    document = {"run": "r", "seconds": 75.2, "platform": "local", "artifacts": ["report.html"], **more}
    lines = run({**NOTHING, **document})
    assert next(lines) == f"r {document['status']} in 1 min 15 s"
    return {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in lines}


def test_formats_stand_side_by_side_with_the_tasks_own_gate() -> None:
    formats = {
        "onnx": {"mean_reward": 21.3456, "error_vel_xy": 0.11, "throughput": 9.0, "parity": {"max_abs_error": 2.1e-7}},
        "jit": {"mean_reward": 21.0, "error_vel_xy": 0.12, "throughput": 9.0, "parity": {"max_abs_error": 0.0}},
    }
    found = shown("Isaac-Velocity-Flat-Anymal-C-v0", formats)
    assert found["mean_reward"] == "onnx 21.35 · jit 21"
    assert found["error_vel_xy"] == "onnx 0.11 · jit 0.12"
    assert found["parity"] == "onnx 2.1e-07 · jit 0"
    assert "throughput" not in found
    assert "report" not in found


def test_a_report_is_named_where_it_lies(tmp_path: Path) -> None:
    report = tmp_path / "outputs" / "report.html"
    report.parent.mkdir()
    report.touch()
    assert shown("My-Task-v0", {}, str(tmp_path))["report"] == str(report)


def test_a_format_that_failed_does_not_hide_the_other() -> None:
    found = shown("My-Task-v0", {"onnx": {"error": "it disagrees"}, "jit": {"mean_reward": 1.0}})
    assert found["mean_reward"] == "jit 1"


def test_plain_metrics_are_shown_plainly() -> None:
    found = shown("My-Task-v0", {"mean_reward": 4.9, "mean_episode_length": None, "passed": True})
    assert found["mean_reward"] == "4.9"
    assert "mean_episode_length" not in found


def test_a_job_that_came_to_its_end_has_no_progress_whatever_its_verdict() -> None:
    ended = {"status": "failed", "task": "My-Task-v0", "metrics": {}, "run_dir": "/runs/r"}
    report = {"progress": {"phase": "report"}}
    assert facts({**ended, **report})["progress"] == "report", "it broke off there"
    assert "progress" not in facts({**ended, **report, "passed": False})
