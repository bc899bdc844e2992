import re
from pathlib import Path

from gaitway_runtime.evaluation.metrics import inference_time, summarize
from gaitway_runtime.evaluation.rollout import run_episodes
from gaitway_runtime.evaluation.subject import read_subject
from gaitway_runtime.evaluation.validation import evaluate

from tests.fakes.env import FakeEnv, Obey
from tests.fakes.linear_policy import write_checkpoint

PAGE = Path(__file__).resolve().parents[3] / "docs" / "evaluation.md"


def documented() -> set[str]:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_key_of_the_metrics_is_documented(tmp_path: Path) -> None:
    rollout = run_episodes(FakeEnv(2), Obey(), 2, seed=0)
    timing = inference_time(rollout.act_seconds, batch=2, provider="numpy", threads=1)
    played = summarize(rollout, format="onnx", simulator="fake", inference=timing).document()
    env = FakeEnv(2)
    subject = read_subject(write_checkpoint(tmp_path / "model_1.pt", [[0, 0, 1, 0], [0, 0, 0, 1]]), env.contract)
    validated = evaluate(env, subject, episodes=2, seed=0).document()
    assert not ({*played, *played["inference"], *validated} - documented())
