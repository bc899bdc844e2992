"""Requests for Azure ML: as recorded, accepted by Microsoft's own client, and checked."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from gaitway_runtime import container
from gaitway_runtime.spec.chain import stages
from gaitway_runtime.spec.job import InferJob, ShipJob, TrainJob, ValidateJob
from gaitway_runtime.spec.job_document import from_environment

from gaitway.errors import UsageError
from gaitway.platforms.azureml import checks, publish_templates
from gaitway.platforms.azureml.options import attached_name, version_of
from gaitway.platforms.azureml.request import command, inputs_of
from gaitway.platforms.azureml.sweep import trial_run
from gaitway.status import RunStatus
from gaitway.variations import make_design

ROOT = Path(__file__).parents[4]
TASK = "Isaac-Velocity-Flat-Anymal-C-v0"
CASES = {
    "train": ("train", "--task", TASK, "--compute", "k8s-robots"),
    "train-two-nodes": (
        *("train", "--task", TASK, "--compute", "k8s-robots", "--num-nodes", "2", "--num-gpus", "4"),
        *("--priority", "LOW", "--image", "ghcr.io/robots/isaac:7", "--set", "agent.algorithm.gamma=0.98"),
    ),
    "validate": ("validate", "--task", TASK, "--compute", "cpu-cluster", "--instance-type", "none"),
    "ship": ("ship", "--task", TASK, "--compute", "k8s-robots", "--num-gpus", "4"),
    "ship-serverless": ("ship", "--task", TASK, "--compute", "serverless", "--job-tier", "Spot"),
    "serverless": ("train", "--task", TASK, "--compute", "serverless", "--job-tier", "Spot"),
    "sweep": (
        *("sweep", "train", "--task", TASK, "--compute", "k8s-robots", "--trials", "12", "--prune", "--parallel", "4"),
        *("--vary", "agent.algorithm.learning_rate=log(1e-4,1e-2)", "--vary", "num_envs=1024,4096"),
        *(
            "--vary",
            "env.commands.base_velocity.ranges.lin_vel_x=(0,1),(-1,1)",
            "--set",
            "agent.algorithm.gamma=0.98",
            "--seeds",
            "2",
        ),
    ),
    "sweep-grid": (
        *("sweep", "train", "--task", TASK, "--compute", "serverless", "--job-tier", "Spot"),
        *("--vary", "agent.algorithm.learning_rate=1e-3,1e-4", "--vary", "max_iterations=10,20"),
    ),
    "infer": ("infer", "--checkpoint-uri", "models:/isaac-ant-v0/1", "--compute", "k8s-robots"),
}


@pytest.fixture(autouse=True)
def empty_folder(project: Path) -> None:
    """Every plan is made where there is nothing."""


def planned(gaitway: Callable[..., Any], *words: str) -> Any:
    verb = 2 if words[0] == "sweep" else 1
    ran = gaitway(*words[:verb], "--on", "azureml", *words[verb:], "--dry-run", "--json")
    assert ran.code == 0, ran.err
    return ran


def body(gaitway: Callable[..., Any], *words: str) -> dict[str, Any]:
    ran = planned(gaitway, *words)
    found: dict[str, Any] = yaml.safe_load(ran.json["request"]["body"])
    return found


def masked(text: str) -> str:
    """Leave out what changes with the code that is shipped."""
    text = re.sub(r"[0-9a-f]{64}", "<sha256>", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "<run_id>", text)
    text = re.sub(r"gaitway-[0-9a-f]{24}", "gaitway-<sha256>", text)
    text = re.sub(r'"gaitway.(commit|dirty)": "[^"]*", ', "", text)
    return "".join(
        line for line in text.splitlines(keepends=True) if not line.startswith(("  gaitway.commit", "  gaitway.dirty"))
    )


@pytest.mark.parametrize("case", CASES)
def test_the_job_is_as_recorded_and_the_client_takes_it(
    gaitway: Callable[..., Any], golden: Callable[[str, str], None], case: str
) -> None:
    words = CASES[case]
    ran = planned(gaitway, *words)
    golden(f"azureml/{case}.yaml", masked(ran.json["request"]["body"]))
    kinds = {"ship": "pipeline", "sweep": "sweep"}
    assert load(ran.json["request"]["body"]).type == kinds.get(words[0], "command")


def load(text: str) -> Any:
    from azure.ai.ml import load_job

    return load_job(source=io.StringIO(text))


@pytest.mark.parametrize("file", publish_templates.FILES)
def test_a_job_file_is_what_the_declarations_say_and_the_client_takes_it(
    generated: Callable[[Path, str], None], file: str
) -> None:
    from azure.ai.ml import load_job

    path = ROOT / "workflows" / "azureml" / file
    generated(path, publish_templates.render(file))
    assert load_job(path).type == "command"
    checks.check_document(yaml.safe_load(path.read_text(encoding="utf-8")), file)


@pytest.mark.parametrize(
    "job",
    [
        TrainJob(
            task="A-v0", overrides=("agent.a=1,2", "env.b=x"), checkpoint_uri="runs:/1/c", checkpoint_mode="resume"
        ),
        TrainJob(max_iterations=7, shaping=False, imports=("mine.tasks",)),
        ValidateJob(success_threshold=0.25, model_version="3"),
        InferJob(format="onnx", video_length=0),
    ],
    ids=["resume", "train", "validate", "infer"],
)
def test_a_job_survives_its_way_through_the_command(job: Any, tmp_path: Path) -> None:
    """The service puts inputs into the command as text; a shell reads it; the runtime reads the environment."""
    assert from_environment(environment_after(command(type(job)), inputs_of(job), job.kind)) == job


def environment_after(text: str, inputs: dict[str, str], kind: str) -> dict[str, str]:
    """Return the environment in which a job's command starts the runtime."""
    text = re.sub(r"\$\{\{outputs\.\w+\}\}", "/out", text)
    for name, value in inputs.items():
        text = text.replace(f"${{{{inputs.{name}}}}}", value)
    text = text.replace("exec ${PYTHON:-$python} -m gaitway_runtime.container", "env -0")
    out = subprocess.run(["/bin/sh", "-c", text], capture_output=True, env={"JOB_KIND": kind}, check=True)
    return dict(item.decode().split("=", 1) for item in out.stdout.split(b"\0") if item)


def test_a_trial_of_a_sweep_gets_its_values_through_the_command(gaitway: Callable[..., Any]) -> None:
    found = body(gaitway, *CASES["sweep"])
    text = found["trial"]["command"].replace("${{outputs.checkpoints}}", "/out")
    drawn = {
        "agent_algorithm_learning_rate": "0.000312",
        "num_envs": "4096",
        "env_commands_base_velocity_ranges_lin_vel_x": "(0,1)",
    }
    for place, values in (("inputs", found["inputs"]), ("search_space", {**drawn, "seed": "43"})):
        for name, value in values.items():
            text = text.replace(f"${{{{{place}.{name}}}}}", str(value))
    assert "${{" not in text
    text = text.replace("exec ${PYTHON:-$python} -m gaitway_runtime.container", "env -0")
    out = subprocess.run(["/bin/sh", "-c", text], capture_output=True, env={"JOB_KIND": "train"}, check=True)
    job = from_environment(dict(item.decode().split("=", 1) for item in out.stdout.split(b"\0") if item))
    assert isinstance(job, TrainJob)
    rate, command = "agent.algorithm.learning_rate=0.000312", "env.commands.base_velocity.ranges.lin_vel_x=(0,1)"
    assert job.overrides == ("agent.algorithm.gamma=0.98", rate, command)
    assert (job.num_envs, job.seed, job.skip_register_checkpoint) == (4096, 43, True)


def test_a_sweep_says_what_azure_ml_decides_by(gaitway: Callable[..., Any]) -> None:
    found = body(gaitway, *CASES["sweep"])
    assert found["objective"] == {"goal": "maximize", "primary_metric": "Train/mean_reward"}
    assert found["limits"]["max_total_trials"] == 24
    assert found["search_space"]["agent_algorithm_learning_rate"]["min_value"] == pytest.approx(-9.2103, abs=1e-4)
    grid = body(gaitway, *CASES["sweep-grid"])
    assert grid["sampling_algorithm"] == {"type": "grid"}
    whole = body(gaitway, "sweep", "train", "--compute", "k8s-robots", "--vary", "max_iterations=int(10,12)")
    assert whole["search_space"]["max_iterations"] == {"type": "choice", "values": [10, 11, 12]}


def test_what_is_known_of_the_run_arrives(gaitway: Callable[..., Any]) -> None:
    variables = body(gaitway, *CASES["train"], "--name", "walk-1")["environment_variables"]
    job, context = container.read_job({**variables, "TASK": TASK})
    assert (job.task, context.run, context.platform) == (TASK, "walk-1", "azureml")
    assert context.tags["gaitway.setting.task"] == f"{TASK} (cli --task)"


def test_a_dry_run_needs_no_azure_and_leaves_nothing(project: Path) -> None:
    code = (
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('azure', 'azureml', 'mlflow'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "import socket; socket.socket.connect = None\n"
        "from gaitway.cli.main import main\n"
        "sys.exit(main(['train', '--on', 'azureml', '--task', 'Isaac-Cartpole-v0', '--dry-run']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "not set, and needed to submit: azure_subscription_id" in done.stdout
    assert list(project.iterdir()) == []


def test_a_compute_of_terraforms_is_the_attached_cluster() -> None:
    assert attached_name("aks-robots-dev-001") == "k8s-aks-robots-d"
    assert attached_name("aks-robots-x-1") == "k8s-aks-robots-x"
    assert attached_name("aks-robot-1-dev") == "k8s-aks-robot-1", "no dash at the end"


def test_every_image_has_an_environment_version_of_its_own() -> None:
    assert version_of("nvcr.io/nvidia/isaac-lab:2.2.0") == "2.2.0"
    assert version_of("nvcr.io/nvidia/isaac-lab:2.3.0") == "2.3.0"
    assert version_of("mine/isaac-lab:2.2.0") != version_of("yours/isaac-lab:2.2.0")
    assert re.fullmatch(r"latest-[0-9a-f]{8}", version_of("localhost/isaac"))
    digests = [f"nvcr.io/nvidia/isaac-lab@sha256:{letter * 64}" for letter in "ab"]
    assert len({version_of(image) for image in (*digests, "nvcr.io/nvidia/isaac-lab")}) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--shm-size", "lots"), "'lots' is not a size of shared memory"),
        (("--image", "UPPER CASE::"), "'UPPER CASE::' is not a container image"),
        (("--exec-timeout", "soon"), "'soon' is not a time"),
        (("--num-nodes", "0"), "num nodes is out of range: 0"),
        (("--environment-name", "a b"), "'a b' is not a name for an environment"),
        (("--import", "it's"), "input imports holds a quote or a line break"),
        (("--display-name", "${{inputs.task}}"), "Azure ML does not expand"),
    ],
)
def test_what_the_client_would_let_pass_is_refused(gaitway: Callable[..., Any], words: Any, said: str) -> None:
    ran = gaitway("train", "--on", "azureml", "--dry-run", *words)
    assert (ran.code, said in ran.err) == (2, True), ran.err


OWN = {
    "type": "command",
    "command": "python mine.py --task ${{inputs.task}} --speed ${{inputs.speed}} --envs ${{inputs.num_envs}}",
    "environment": "azureml:mine:3",
    "compute": "azureml:theirs",
    "experiment_name": "walking",
    "inputs": {"task": "Isaac-Ant-v0", "speed": 3, "num_envs": 512},
    "outputs": {"clips": {"type": "uri_folder", "path": "${{default_datastore}}/${{name}}/${{output_name}}"}},
    "environment_variables": {"MINE": "1", "RUN_DIR": "/mnt/run"},
    "resources": {"instance_count": 2, "shm_size": "4g"},
}


@pytest.fixture
def own(project: Path) -> Path:
    (project / "own.yaml").write_text(yaml.safe_dump(OWN))
    return project / "own.yaml"


def test_a_job_file_of_ones_own_keeps_what_is_in_it(gaitway: Callable[..., Any], own: Path) -> None:
    found = body(gaitway, "train", "--job-file", "own.yaml")
    for part in ("inputs", "outputs", "compute", "environment", "experiment_name", "resources"):
        assert found[part] == OWN[part], part
    assert found["environment_variables"]["MINE"] == "1"
    assert found["environment_variables"]["RUN_DIR"] == "/mnt/run"
    assert found["environment_variables"]["JOB_KIND"] == "train"
    assert found["tags"]["task"] == "Isaac-Ant-v0"
    assert load(yaml.safe_dump(found)).code == found["code"].removeprefix("azureml:")


def test_flags_win_over_a_job_file_only_where_they_were_typed(gaitway: Callable[..., Any], own: Path) -> None:
    words = ("--job-file", "own.yaml", "--task", TASK, "--compute", "k8s-robots", "--shm-size", "16g", "--seed", "7")
    ran = gaitway("train", "--on", "azureml", *words, "--dry-run", "--json")
    assert ran.code == 0, ran.err
    found = yaml.safe_load(ran.json["request"]["body"])
    assert found["inputs"] == {"task": TASK, "speed": 3, "num_envs": 512}
    assert found["compute"] == "azureml:k8s-robots"
    assert found["resources"] == {"instance_count": 2, "shm_size": "16g"}
    assert found["experiment_name"] == "walking"
    notes = "\n".join(ran.json["plan"]["notes"])
    assert f"task = {TASK} as typed; own.yaml has Isaac-Ant-v0" in notes
    assert "num_envs = 512 as own.yaml has it" in notes
    assert "--compute takes the place of compute in own.yaml" in notes
    assert "no effect on the job, own.yaml has no input of that name: seed" in notes


def test_a_serverless_job_names_no_compute(gaitway: Callable[..., Any]) -> None:
    for words in ((), ("--compute", "serverless"), ("--compute", "none")):
        found = body(gaitway, "train", "--task", TASK, *words)
        assert "compute" not in found
        assert found["resources"]["instance_type"] == "Standard_NV36ads_A10_v5"
        assert found["identity"] == {"type": "user_identity"}
        assert load(yaml.safe_dump(found)).compute is None


def test_data_environments_and_services_by_flag(gaitway: Callable[..., Any], project: Path) -> None:
    (project / "id_ed25519.pub").write_text("ssh-ed25519 AAAA you@there\n")
    registry = "azureml://registries/isaac/environments/isaac-lab/versions/3"
    words = (
        *("--input", "motions=azureml:motions@latest:download", "--input", "scene=https://example.com/a/scene.usd"),
        *("--output", "clips=clips/today", "--environment", registry, "--compute", "k8s-robots"),
        *("--services", "ssh,vscode,tensorboard", "--ssh-public-key", "id_ed25519.pub"),
    )
    ran = gaitway("train", "--on", "azureml", "--task", TASK, *words, "--dry-run", "--json")
    assert ran.code == 0, ran.err
    found = yaml.safe_load(ran.json["request"]["body"])
    assert found["inputs"]["motions"] == {"type": "uri_folder", "path": "azureml:motions@latest", "mode": "download"}
    assert found["inputs"]["scene"]["type"] == "uri_file"
    assert found["outputs"]["clips"]["path"] == "azureml://datastores/workspaceblobstore/paths/clips/today"
    assert found["environment"] == registry
    assert 'export GAITWAY_INPUT_MOTIONS="${{inputs.motions}}"' in found["command"]
    assert 'export GAITWAY_OUTPUT_CLIPS="${{outputs.clips}}"' in found["command"]
    job = load(yaml.safe_dump(found))
    assert set(job.services) == {"ssh", "vs_code", "tensor_board"}
    assert ran.json["plan"]["settings"]["data_inputs"]["value"][0].startswith("motions=")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--input", "motions"), "'motions' is not NAME=SOURCE"),
        (("--input", "motions=azureml:a:1", "--input", "motions=azureml:a:2"), "'motions' is named twice"),
        (("--input", "task=azureml:a:1"), "input 'task' has the name of a setting"),
        (("--input", "motions=./folder"), "is not data that a job on Azure ML can read"),
        (("--output", "clips=../up"), "is not a place that a job on Azure ML can write to"),
        (("--environment", "isaac"), "'isaac' is not an environment"),
        (("--environment", "azureml:a:1", "--image", "x/y:1"), "--environment and --image exclude each other"),
        (("--services", "sshd"), "did you mean ssh?"),
        (("--job-tier", "Spot", "--compute", "k8s-robots"), "compute k8s-robots has no job tier"),
        (("--instance-type", "gpuspot"), "'gpuspot' is not a VM size"),
        (("--experiment-name", "a/b"), "'a/b' is not a name for an experiment"),
        (("--experiment-name", "a:b"), "'a:b' is not a name for an experiment"),
        (("--experiment-name", "a" * 300), "is not a name for an experiment"),
        (("--display-name", "a" * 300), "is too long to be shown"),
        (("--register-checkpoint", "my model"), "'my model' is not a name for a registered model"),
    ],
)
def test_what_azure_would_refuse_is_refused_here(gaitway: Callable[..., Any], words: Any, said: str) -> None:
    ran = gaitway("train", "--on", "azureml", "--dry-run", *words)
    assert (ran.code, said in ran.err) == (2, True), ran.err


def test_a_tag_too_long_or_too_many_never_reaches_azure(gaitway: Callable[..., Any], project: Path) -> None:
    more = [word for number in range(40) for word in ("--set", f"agent.some_long_setting_{number:02d}={number}")]
    tags = body(gaitway, "train", "--task", TASK, *more)["tags"]
    assert len(tags) <= 15
    assert max(map(len, tags.values())) <= 1000


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"command": "echo ${{inputs.tusk}}"}, "uses ${{inputs.tusk}}, which the job does not have"),
        ({"resources": {"instance_count": 0}}, "instance_count is 0"),
        ({"compute": ""}, "the compute is empty"),
        ({"inputs": {"task": ""}}, "input task is empty"),
        ({"environment": {"image": "UPPER CASE::"}}, "is not a container image"),
        ({"resources": {"shm_size": "lots"}}, "shm_size is 'lots'"),
        ({"distribution": {"type": "pytorch", "process_count_per_instance": 0}}, "process_count_per_instance is 0"),
        ({"type": "sweep"}, "not a command job"),
    ],
)
def test_a_job_file_that_could_not_run_is_refused(change: dict[str, Any], said: str) -> None:
    document = {"type": "command", "command": "echo ${{inputs.task}}", "inputs": {"task": "x"}, **change}
    with pytest.raises(UsageError, match=re.escape(said)):
        checks.check_document(document, "own.yaml")


@pytest.mark.parametrize("script", ["training", "validation"])
def test_a_script_is_the_command_with_its_platform(script: str, project: Path) -> None:
    path = ROOT / "scripts" / f"submit-azureml-{script}.sh"
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    words = [str(path), "--task", TASK, "--compute", "c-1", "--subscription-id", "s-1", "--dry-run", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found = yaml.safe_load(json.loads(done.stdout)["request"]["body"])
    assert (found["compute"], found["inputs"]["task"]) == ("azureml:c-1", TASK)


def test_a_step_of_a_ship_pipeline_waits_for_all_stages_before_it(gaitway: Callable[..., Any]) -> None:
    jobs = body(gaitway, *CASES["ship"])["jobs"]
    reads = {
        name: {key for key, value in step["inputs"].items() if isinstance(value, dict)} for name, step in jobs.items()
    }
    assert reads == {
        "train": set(),
        "gate": {"train_run"},
        "infer": {"train_run", "gate_run"},
        "register": {"train_run", "gate_run", "infer_run"},
    }
    assert jobs["train"]["distribution"]["process_count_per_instance"] == 4
    assert "distribution" not in jobs["gate"]
    assert 'export CHECKPOINT_URI="${{inputs.train_run}}/outputs/checkpoints"' in jobs["gate"]["command"]


def test_a_stage_survives_its_way_through_the_command(gaitway: Callable[..., Any]) -> None:
    jobs = body(gaitway, *CASES["ship"])["jobs"]
    expected = {
        stage.name: stage.job for stage in stages(ShipJob(task=TASK), lambda stage, read: f"/in/{read}/outputs")
    }
    for name, step in jobs.items():
        inputs = {key: value for key, value in step["inputs"].items() if isinstance(value, str)}
        folders = {key: f"/in/{key.removesuffix('_run')}" for key in step["inputs"] if key not in inputs}
        found = environment_after(step["command"], {**inputs, **folders}, step["environment_variables"]["JOB_KIND"])
        assert from_environment(found) == expected[name]


def test_ship_takes_no_job_file(gaitway: Callable[..., Any], own: Path) -> None:
    ran = gaitway("ship", "--on", "azureml", "--job-file", "own.yaml", "--dry-run")
    assert (ran.code, "ship makes a pipeline of its own" in ran.err) == (2, True)


def test_a_trials_values_and_objective_are_read_from_its_run() -> None:
    """The runtime logs its job as parameters, and the objective under its own name."""
    rate = "agent.algorithm.learning_rate"
    design = make_design([f"{rate}=log(1e-4,1e-2)", "num_envs=16,32"], first_seed=1, seeds=1, trials=4)
    run = SimpleNamespace(
        info=SimpleNamespace(run_id="s_0", status="FINISHED"),
        data=SimpleNamespace(
            params={"overrides": f"('agent.algorithm.gamma=0.9', '{rate}=0.003')", "num_envs": "32"},
            metrics={"Train/mean_reward": 4.5},
        ),
    )
    found = trial_run(run, design)
    assert (found.name, found.status, found.metrics) == ("s_0", RunStatus.SUCCEEDED, {"Train/mean_reward": 4.5})
    assert found.values == {rate: "0.003", "num_envs": "32"}
