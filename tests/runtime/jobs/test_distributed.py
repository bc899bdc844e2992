"""Trainings by two processes of this machine, over gloo: one run, one set of checkpoints, one end."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from gaitway_runtime.spec import result as results
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.job_document import to_document
from gaitway_runtime.spec.result import Result
from gaitway_runtime.spec.run_context import RunContext

from tests.fakes.processes import free_port
from tests.fakes.tracker import told
from tests.fakes.weights import digest

ROOT = Path(__file__).resolve().parents[3]
INHERITED = ("AZURE", "GAITWAY_", "MLFLOW_", "OSMO_")
STEPS = 8 * 4
"""Environment steps of one iteration in one process."""

JOB = TrainJob(
    task="Fake-Mass-v0",
    simulator="mujoco",
    imports=("tests.fakes.mass_simulator",),
    num_envs=4,
    max_iterations=4,
    save_interval=2,
    overrides=(
        "agent.num_steps_per_env=8",
        "agent.actor.hidden_dims=[8]",
        "agent.critic.hidden_dims=[8]",
        "agent.algorithm.num_learning_epochs=1",
        *("agent.mirror=true", "agent.symmetric=true", "agent.fast_update=true"),
    ),
)


def start(
    folder: Path,
    job: TrainJob,
    fake: str = "",
    launcher: str = "gaitway_runtime.distributed.launcher",
    home: Path | None = None,
) -> str:
    """Train with two processes and return what they printed."""
    folder.mkdir(parents=True)
    path = folder / "job.json"
    path.write_text(json.dumps(to_document(job, RunContext(run="two"))))
    commands = {
        "gaitway_runtime.distributed.launcher": ["--processes", "2", "--job", str(path)],
        "torch.distributed.run": [
            *("--nproc-per-node", "2", "--master-addr", "127.0.0.1", "--master-port", str(free_port())),
            *("-m", "gaitway_runtime", "--job", str(path)),
        ],
    }
    # Trainings of several tests are made before the environment of any one of them is.
    given = {name: value for name, value in os.environ.items() if not name.startswith(INHERITED)}
    environ = {"GAITWAY_HOME": str(home or folder), **given, "FAKE_SIGNAL": fake, "OMP_NUM_THREADS": "1"}
    environ["PYTHONPATH"] = os.pathsep.join((str(ROOT / "src" / "training"), str(ROOT)))
    command = [sys.executable, "-m", launcher, *commands[launcher]]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300)
    result = results.read(folder / "outputs")
    assert result is not None, done.stdout + done.stderr
    if launcher == "gaitway_runtime.distributed.launcher":
        assert done.returncode == (137 if "SIGKILL" in fake else result.exit_code)
    return done.stdout + done.stderr


def result_of(folder: Path) -> Result:
    result = results.read(folder / "outputs")
    assert result is not None
    return result


def checkpoints(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder / "outputs")) for path in folder.rglob("*.pt"))


def test_two_processes_make_one_run_and_one_set_of_checkpoints(tmp_path: Path, home: Path) -> None:
    """On the real embedded simulator and with a real MLflow store, started by torchrun."""
    job = TrainJob(
        task="Isaac-Cartpole-v0",
        simulator="mujoco",
        num_envs=16,
        max_iterations=3,
        skip_register_checkpoint=True,
        overrides=("agent.overlap=true",),
    )
    printed = start(tmp_path / "run", job, launcher="torch.distributed.run", home=home)
    assert "the fast update, no playing beside it (several processes learn together)" in printed
    result = result_of(tmp_path / "run")
    assert (result.status, result.iterations) == ("succeeded", 3)
    assert checkpoints(tmp_path / "run") == ["checkpoints/model_0.pt", "checkpoints/model_2.pt"]
    assert printed.count("MLflow tracking configured") == printed.count("Found final model: ") == 1
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    (run,) = client.search_runs([found.experiment_id for found in client.search_experiments()])
    assert run.info.run_id == result.mlflow_run_id
    assert (run.data.params["processes"], run.data.tags["seed"]) == ("2", "42")
    assert len(client.get_metric_history(run.info.run_id, "Train/mean_reward")) == 3


@dataclass(frozen=True)
class Trainings:
    """Three trainings of one job by two processes each, and what was printed by the last."""

    whole: Path
    stopped: Path
    """After four of six iterations, by a signal to the second process."""
    resumed: Path
    printed: str


@pytest.fixture(scope="module", params=["rsl_rl", "skrl"])
def trainings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    folder = tmp_path_factory.mktemp(request.param)
    skrl = ("agent.rollouts=8", "agent.hidden_dims=[8]", "agent.observation_preprocessor=true")
    settings = {"overrides": skrl} if request.param == "skrl" else {}
    job = dataclasses.replace(JOB, backend=request.param, max_iterations=6, **settings)
    start(folder / "whole", job)
    start(folder / "stopped", job, fake=f"SIGTERM:{4 * STEPS - 4}:1")
    uri = str(folder / "stopped" / "outputs")
    again = dataclasses.replace(job, checkpoint_uri=uri, checkpoint_mode="resume")
    printed = start(folder / "resumed", again)
    return Trainings(folder / "whole", folder / "stopped", folder / "resumed", printed)


def test_processes_learn_together(trainings: Trainings) -> None:
    result = result_of(trainings.whole)
    assert (result.status, result.iterations, result.steps) == ("succeeded", 6, 6 * STEPS * 2)
    assert told(trainings.whole, "close") == ["FINISHED"]
    assert [step for step, _ in told(trainings.whole, "metrics")] == list(range(6))
    # That the weights of both processes are equal is checked at the end of every such training.


def test_a_signal_to_one_process_stops_all_at_the_same_iteration(trainings: Trainings) -> None:
    result = result_of(trainings.stopped)
    assert (result.status, result.exit_code, result.iterations) == ("cancelled", 130, 4)
    assert result.error is not None and "another process was asked to" in result.error["message"]
    assert checkpoints(trainings.stopped) == [f"checkpoints/model_{number}.pt" for number in (0, 2, 3)]
    assert told(trainings.stopped, "close") == ["KILLED"]
    other = results.read(trainings.stopped / "outputs" / "ranks" / "1")
    assert other is not None and other.exit_code == 130


def test_a_resumed_training_starts_alike_in_all(trainings: Trainings) -> None:
    first, second = result_of(trainings.stopped), result_of(trainings.resumed)
    assert (second.status, second.iterations, second.steps) == ("succeeded", 6, 2 * STEPS * 2)
    assert first.final_checkpoint is not None
    other = trainings.resumed / "outputs" / "ranks" / "1" / "start" / "model_3.pt"
    assert other.read_bytes() == Path(first.final_checkpoint.path).read_bytes()


def test_processes_that_were_stopped_go_on_bit_for_bit(trainings: Trainings) -> None:
    assert "restored state_3.npz: the training continues bit for bit" in trainings.printed
    folders = (trainings.whole, trainings.resumed)
    whole, resumed = (folder / "outputs" / "checkpoints" / "model_5.pt" for folder in folders)
    assert digest(resumed) == digest(whole)


def test_a_launcher_that_is_killed_leaves_no_process_behind_and_nothing_is_lost(tmp_path: Path) -> None:
    job = dataclasses.replace(JOB, max_iterations=100_000)
    with pytest.raises(AssertionError):  # the launcher's own exit code is that of its SIGKILL
        start(tmp_path / "run", job, fake=f"PARENT:{2 * STEPS - 4}:0")
    # The call returns when the last process that prints has ended.
    result = result_of(tmp_path / "run")
    assert (result.status, result.exit_code) == ("cancelled", 130)
    assert result.final_checkpoint is not None and Path(result.final_checkpoint.path).exists()
    assert told(tmp_path / "run", "close") == ["KILLED"]


def test_a_process_that_waits_for_the_others_ends_when_it_is_asked_to() -> None:
    """Its library waits for half an hour, and looks at no signal: the others may have been killed."""
    code = (
        "from gaitway_runtime.distributed.group import join\n"
        "from gaitway_runtime.distributed.group import current\n"
        "from gaitway_runtime.process import lifecycle\n"
        "lifecycle.handle_signals()\n"
        "lifecycle.on_hang(lambda error: (print(error.message, flush=True), lifecycle.leave(error.exit_code)))\n"
        "with join(current()):\n"
        "    print('they have met')\n"
    )
    port = free_port()
    place = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **place}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            while process.poll() is None and not _listens(port):
                pass
            process.terminate()
            said, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, said) == (130, "the job was asked to stop (SIGTERM)\n")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_the_error_of_the_process_that_failed_first_is_that_of_the_job(tmp_path: Path) -> None:
    start(tmp_path / "run", JOB, fake=f"ERROR:{2 * STEPS - 4}:1")
    result = result_of(tmp_path / "run")
    assert (result.status, result.exit_code) == ("failed", 1)
    assert result.error is not None
    assert (result.error["message"], result.error["hint"]) == ("process 2 of 2: the fake broke", "mend it")
    assert told(tmp_path / "run", "close") == ["FAILED"]


def test_a_process_that_is_killed_ends_the_others(tmp_path: Path) -> None:
    start(tmp_path / "run", JOB, fake=f"SIGKILL:{2 * STEPS - 4}:1")
    result = result_of(tmp_path / "run")
    assert result.error is not None
    assert result.error["message"] == "process 2 of 2 was ended by SIGKILL"
    assert told(tmp_path / "run", "close") == ["FAILED"]


def test_weights_that_drifted_apart_are_an_error(tmp_path: Path) -> None:
    code = (
        "import torch\nfrom gaitway_runtime.distributed import group as ranks\n"
        "from gaitway_runtime.distributed.group import join\n"
        "from gaitway_runtime.spec.errors import JobFailed\n"
        "rank = ranks.current().number\n"
        "with join(ranks.current()) as group:\n"
        "    group.check_same({'actor': {'w': torch.ones(2)}, 'optimizer_state': {'m': torch.tensor(1.0 * rank)}})\n"
        "    assert group.share(b'from %d' % rank) == b'from 0' and group.share(b'') == b''\n"
        "    assert group.collect(b'%d' % rank * (rank + 1)) == [b'0', b'11'] and group.collect(b'') == [b'', b'']\n"
        "    assert group.agree(rank == 1) and not group.agree(False)\n"
        "    try:\n"
        "        group.check_same({'actor': {'w': torch.tensor([1.0, 1.0 + rank])}})\n"
        "    except JobFailed as error:\n"
        "        assert 'drifted apart' in error.message\n"
        "    else:\n"
        "        raise SystemExit(7)\n"
    )
    from gaitway_runtime.distributed import launcher

    ended = launcher.run([sys.executable, "-c", code], launcher.rank_environments(2), tmp_path)
    assert [found.code for found in ended] == [0, 0]


def test_alone_nothing_is_asked_of_others() -> None:
    from gaitway_runtime.distributed.group import ALONE, join

    with join(ALONE) as group:
        assert group.collect(b"mine") == [b"mine"]
        assert group.agree(True) and not group.agree(False)
        assert group.share(b"mine") == b"mine"
        group.check_same({"w": torch.ones(1)})
