"""The Python API as a type checker sees it: a user's script passes ``mypy --strict``, and a wrong one does not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import gaitway_runtime

import gaitway

SCRIPT = """
import gaitway
from pathlib import Path
from gaitway import TrainJob

job = TrainJob(task="Isaac-Cartpole-v0", num_envs=64)
run = gaitway.train(job, on="osmo", training_path=Path("mine"))
run = gaitway.train(task="Isaac-Cartpole-v0", set=["agent.seed=1"], with_="ext", import_="ext")
report = run.wait(raise_on_failure=True)
result = run.result()
uri: str | None = result.final_checkpoint.uri
reward: float = result.metric("mean_reward")
print(result.metrics, result.verdict is gaitway.GateVerdict.MET, report.status.ended)
judged: gaitway.Result = gaitway.validate(checkpoint_uri=uri, eval_episodes=10).result()
prepared = gaitway.plan("train", task="Isaac-Cartpole-v0", num_envs=8)
print(prepared.request.body, gaitway.plan(TrainJob, seed=3).plan.notes, gaitway.plan(job).plan.run)
print(gaitway.export("model.pt", output="there").files)
"""

WRONG = """
import gaitway
gaitway.train(num_env=8)
gaitway.train(num_envs="many")
gaitway.train(checkpoint_mode="again")
gaitway.infer(eval_episodes=3)
gaitway.plan("trian")
gaitway.trian()
gaitway.TrainJob(num_env=8)
gaitway.run("a").result().final_checkpoints
"""


def mypy(folder: Path, text: str) -> str:
    """Return what a strict mypy says of a script in a folder of its own."""
    script = folder / "script.py"
    script.write_text(text)
    sources = [str(Path(package.__file__ or "").parents[1]) for package in (gaitway, gaitway_runtime)]
    command = [sys.executable, "-m", "mypy", "--strict", "--no-site-packages", "--follow-imports=silent"]
    command += ["--ignore-missing-imports", "--config-file", os.devnull, "--hide-error-codes", str(script)]
    environ = {**os.environ, "MYPYPATH": os.pathsep.join(sources), "MYPY_CACHE_DIR": str(folder.parent / "mypy")}
    return subprocess.run(command, capture_output=True, text=True, env=environ, cwd=folder, check=False).stdout


def test_a_users_script_is_checked(tmp_path: Path) -> None:
    assert mypy(tmp_path, SCRIPT).startswith("Success")
    said = mypy(tmp_path, WRONG)
    wrong = {int(number) for number in re.findall(r"script.py:(\d+): error", said)}
    assert wrong == set(range(3, 3 + WRONG.count("gaitway.")))


def test_the_readme_passes_too(tmp_path: Path) -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL):
        assert mypy(tmp_path, block).startswith("Success"), block
