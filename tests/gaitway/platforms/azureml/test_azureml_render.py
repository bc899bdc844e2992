"""The job that is shown is the job that is sent: as recorded, read by Microsoft's own client, and checked."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from gaitway_runtime import container
from gaitway_runtime.job import InferJob, TrainJob, ValidateJob, from_environment

from gaitway.errors import UsageError
from gaitway.platforms.azureml import by_hand, checks
from gaitway.platforms.azureml.document import command, inputs_of
from gaitway.platforms.azureml.options import attached_name, version_of

ROOT = Path(__file__).parents[4]
TASK = "Isaac-Velocity-Flat-Anymal-C-v0"
CASES = {
    "train": ("train", "--task", TASK, "--compute", "k8s-robots"),
    "train-two-nodes": (
        *("train", "--task", TASK, "--compute", "k8s-robots", "--num-nodes", "2", "--num-gpus", "4"),
        *("--priority", "LOW", "--image", "ghcr.io/robots/isaac:7", "--set", "agent.algorithm.gamma=0.98"),
    ),
    "validate": ("validate", "--task", TASK, "--compute", "cpu-cluster", "--instance-type", "none"),
    "infer": ("infer", "--checkpoint-uri", "models:/isaac-ant-v0/1", "--compute", "k8s-robots"),
}


@pytest.fixture(autouse=True)
def empty_folder(project: Path) -> None:
    """Every plan is made where there is nothing."""


def body(gaitway: Callable[..., Any], *words: str) -> dict[str, Any]:
    ran = gaitway(words[0], "--on", "azureml", *words[1:], "--dry-run", "--json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = yaml.safe_load(ran.json["request"]["body"])
    return found


def masked(text: str) -> str:
    """Leave out what changes with the code that is shipped."""
    text = re.sub(r"[0-9a-f]{64}", "<sha256>", text)
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
    ran = gaitway(words[0], "--on", "azureml", *words[1:], "--dry-run", "--json")
    assert ran.code == 0, ran.err
    golden(f"azureml/{case}.yaml", masked(ran.json["request"]["body"]))
    assert load(ran.json["request"]["body"]).type == "command"


def load(text: str) -> Any:
    from azure.ai.ml import load_job

    return load_job(source=io.StringIO(text))


@pytest.mark.parametrize("file", by_hand.FILES)
def test_a_job_file_is_what_the_declarations_say_and_the_client_takes_it(file: str) -> None:
    from azure.ai.ml import load_job

    path = ROOT / "workflows" / "azureml" / file
    assert path.read_text(encoding="utf-8") == by_hand.render(file), "python -m gaitway.platforms.azureml.by_hand"
    assert load_job(path).type == "command"
    checks.check(yaml.safe_load(path.read_text(encoding="utf-8")), file)


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
    text = command(type(job)).replace("${{outputs.checkpoints}}", "/out")
    for name, value in inputs_of(job).items():
        text = text.replace(f"${{{{inputs.{name}}}}}", value)
    text = text.replace("exec ${PYTHON:-$python} -m gaitway_runtime.container", "env -0")
    out = subprocess.run(["/bin/sh", "-c", text], capture_output=True, env={"JOB_KIND": job.kind}, check=True)
    environ = dict(item.decode().split("=", 1) for item in out.stdout.split(b"\0") if item)
    assert from_environment(environ) == job


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--shm-size", "lots"), "'lots' is no size of shared memory"),
        (("--image", "UPPER CASE::"), "'UPPER CASE::' is no container image"),
        (("--exec-timeout", "soon"), "'soon' is no time"),
        (("--num-nodes", "0"), "num nodes is out of range: 0"),
        (("--environment-name", "a b"), "'a b' is no name of an environment"),
        (("--import", "it's"), "input imports holds a quote or a line break"),
        (("--display-name", "${{inputs.task}}"), "Azure ML expands nothing in"),
    ],
)
def test_what_the_client_would_let_pass_is_refused(gaitway: Callable[..., Any], words: Any, said: str) -> None:
    ran = gaitway("train", "--on", "azureml", "--dry-run", *words)
    assert (ran.code, said in ran.err) == (2, True), ran.err


def test_a_job_file_of_ones_own_keeps_what_is_in_it(gaitway: Callable[..., Any], project: Path) -> None:
    own = {
        "type": "command",
        "command": "python mine.py --task ${{inputs.task}} --speed ${{inputs.speed}}",
        "environment": "azureml:mine:3",
        "compute": "azureml:theirs",
        "inputs": {"task": "x", "speed": 3},
        "environment_variables": {"MINE": "1"},
        "resources": {"instance_count": 2},
    }
    (project / "own.yaml").write_text(yaml.safe_dump(own))
    found = body(gaitway, "train", "--job-file", "own.yaml", "--task", TASK, "--compute", "k8s-robots")
    assert found["inputs"] == {"task": TASK, "speed": 3}
    assert (found["compute"], found["environment"]) == ("azureml:k8s-robots", "azureml:mine:3")
    assert found["environment_variables"]["MINE"] == "1"
    assert found["resources"] == {"instance_count": 2}
    assert load(yaml.safe_dump(found)).code == found["code"].removeprefix("azureml:")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"command": "echo ${{inputs.tusk}}"}, "uses ${{inputs.tusk}}, which the job does not have"),
        ({"resources": {"instance_count": 0}}, "instance_count is 0"),
        ({"compute": ""}, "the compute is empty"),
        ({"inputs": {"task": ""}}, "input task is empty"),
        ({"environment": {"image": "UPPER CASE::"}}, "is no container image"),
        ({"resources": {"shm_size": "lots"}}, "shm_size is 'lots'"),
        ({"distribution": {"type": "pytorch", "process_count_per_instance": 0}}, "process_count_per_instance is 0"),
        ({"type": "sweep"}, "no command job"),
    ],
)
def test_a_job_file_that_could_not_run_is_refused(change: dict[str, Any], said: str) -> None:
    document = {"type": "command", "command": "echo ${{inputs.task}}", "inputs": {"task": "x"}, **change}
    with pytest.raises(UsageError, match=re.escape(said)):
        checks.check(document, "own.yaml")


@pytest.mark.parametrize("script", ["training", "validation"])
def test_a_script_is_the_command_with_its_platform(script: str, project: Path) -> None:
    path = ROOT / "scripts" / f"submit-azureml-{script}.sh"
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    words = [str(path), "--task", TASK, "--compute", "c-1", "--subscription-id", "s-1", "--dry-run", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found = yaml.safe_load(json.loads(done.stdout)["request"]["body"])
    assert (found["compute"], found["inputs"]["task"]) == ("azureml:c-1", TASK)
