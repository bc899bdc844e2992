"""A training does not import torch's compiler, learns the same without it, and whoever wants it then still gets it."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[3]

TRAINING = """\
import sys
from pathlib import Path
if sys.argv[2] == "early":
    import torch._dynamo
from gaitway_runtime.learners.base import LearnerTraining
from gaitway_runtime.learners.rsl_rl import LEARNER
from gaitway_runtime.spec.job import TrainJob
from tests.fakes.mass_env import DoubleIntegrator
from tests.runtime.learners.recording import RecordingCallbacks
small = ("agent.num_steps_per_env=8", "agent.actor.hidden_dims=[8]", "agent.critic.hidden_dims=[8]")
for update in ("true", "false"):
    job = TrainJob(task="Fake-Mass-v0", num_envs=4, max_iterations=2, save_interval=2, seed=3,
        overrides=(*small, f"agent.fast_update={update}"))
    training = LearnerTraining(job=job, env=DoubleIntegrator(4), output_dir=Path(sys.argv[1]) / update)
    LEARNER.check(training)
    LEARNER.train(training, RecordingCallbacks(), {})
if sys.argv[2] == "late":
    import importlib.util, inspect
    assert importlib.util.find_spec("torch._dynamo") is not None
    inspect.getmodule(inspect.currentframe())
    assert "torch._dynamo.config" not in sys.modules and "sympy" not in sys.modules, "the compiler was imported"
"""

COMPILING = """
import threading
import torch
from tensordict import TensorDict
kept, found = torch._dynamo, []
def ask():
    import torch._dynamo.testing  # which the compiler does not import itself
    found.append(torch._dynamo.testing)
threads = [threading.Thread(target=ask) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(60)
import torch._dynamo.config as config
assert config is sys.modules["torch._dynamo.config"] is torch._dynamo.config
assert config.__spec__.origin == config.__file__
assert found == [torch._dynamo.testing] * 2
kept.reset()
counter = torch._dynamo.testing.CompileCounter()
weights = torch.nn.Linear(3, 3, bias=False)
optimiser = torch.optim.Adam(weights.parameters())
@torch.compile(backend=counter)
def doubled(values):
    return TensorDict({"x": weights(values["x"]) * 2}, values.batch_size)
loss = doubled(TensorDict({"x": torch.ones(2, 3)}, [2]))["x"].sum()
optimiser.zero_grad()
loss.backward()
optimiser.step()
assert counter.frame_count == 1
assert optimiser.state_dict()["state"][0]["step"] == 1
"""


def in_a_process(program: str, folder: Path, when: str) -> None:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), *sys.path)))}
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), when], env=environ, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    late, early = tmp_path_factory.mktemp("late"), tmp_path_factory.mktemp("early")
    in_a_process(TRAINING + COMPILING, late, "late")
    in_a_process(TRAINING, early, "early")
    return late, early


@pytest.mark.parametrize("update", ["true", "false"])
def test_a_training_is_the_same_bit_for_bit_with_and_without_the_compiler(
    folders: tuple[Path, Path], update: str
) -> None:
    load = functools.partial(torch.load, weights_only=True)
    late, early = (load(folder / update / "checkpoints" / "model_1.pt") for folder in folders)
    for part in ("actor_state_dict", "critic_state_dict"):
        assert late[part].keys() == early[part].keys()
        assert all(torch.equal(values, early[part][name]) for name, values in late[part].items())
    moments = [found["optimizer_state_dict"]["state"] for found in (late, early)]
    assert all(torch.equal(values["exp_avg"], moments[1][number]["exp_avg"]) for number, values in moments[0].items())
