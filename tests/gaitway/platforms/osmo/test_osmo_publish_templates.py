"""The templates for people who type ``osmo`` themselves: current, complete, safe, and the same job in the container."""

from __future__ import annotations

import base64
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.osmo import OsmoService, Pod
from gaitway_runtime import container
from gaitway_runtime.spec.job import InferJob, TrainJob, ValidateJob
from gaitway_runtime.spec.run_context import AzureContext

from gaitway.platforms.osmo import checks, publish_templates
from gaitway.platforms.osmo import template as templates
from gaitway.platforms.osmo.publish_templates import TEMPLATES, PublishedTemplate

FOLDER = Path(__file__).parents[4] / "workflows" / "osmo"
JOBS = {"train": TrainJob(), "infer": InferJob(), "validate": ValidateJob()}


@pytest.fixture
def pods(service: OsmoService) -> list[Pod]:
    """Return the pods that were started; each only says that it ran."""
    found: list[Pod] = []
    service.cluster.runner = lambda pod, log: found.append(pod) or 0  # type: ignore[func-returns-value]
    return found


@pytest.fixture
def folder(project: Path) -> Path:
    """A copy of ``workflows/osmo`` with a payload where the templates look for it."""
    target = project / "workflows" / "osmo"
    shutil.copytree(FOLDER, target, ignore=shutil.ignore_patterns(".tmp"))
    (target / ".tmp").mkdir()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.writestr("gaitway_runtime/__init__.py", "")
    (target / ".tmp/osmo-training.b64").write_bytes(base64.b64encode(buffer.getvalue()))
    training = project / "src" / "training" / "gaitway_runtime"
    training.mkdir(parents=True)
    (training / "__init__.py").write_text("")
    return target


def by_name(template: PublishedTemplate) -> str:
    return template.file


@pytest.mark.parametrize("template", TEMPLATES, ids=by_name)
def test_the_file_is_what_the_declarations_make_of_it(
    generated: Callable[[Path, str], None], template: PublishedTemplate
) -> None:
    generated(FOLDER / template.file, publish_templates.render(template))


@pytest.mark.parametrize("template", TEMPLATES, ids=by_name)
def test_every_variable_has_a_default(template: PublishedTemplate) -> None:
    loaded = templates.read_template(FOLDER / template.file)
    assert loaded.variables - set(loaded.defaults) == {"a_value_holds_a_brace", "a_value_holds_a_quote"}
    checks.check(templates.expand_template(loaded, {}), template.file)


@pytest.mark.parametrize("template", TEMPLATES, ids=by_name)
def test_defaults_in_the_container_are_the_defaults_here(
    service: OsmoService, osmo: Any, pods: list[Pod], folder: Path, template: PublishedTemplate
) -> None:
    done = osmo("workflow", "submit", str(folder / template.file))
    assert done.returncode == 0, done.stdout
    workflow = service.wait(f"{template.name}-1")
    job, context = container.read_job(pods[0].environment)
    assert job == JOBS[template.job.kind]
    assert (context.run, context.platform, context.azure) == (workflow.id, "osmo", AzureContext())


def test_values_by_hand_become_the_same_job(
    service: OsmoService, osmo: Any, pods: list[Pod], folder: Path, tmp_path: Path
) -> None:
    values = ("task=Isaac-Ant-v0", "num_envs=64", "run_azure_smoke_test=true", "azure_resource_group=rg-example")
    more = ("set_overrides=agent.policy.dims=[128,128];env.x=1", "azure_client_id=id", "checkpoint_uri=runs:/1/x")
    words = ("--set-string", *values, *more, "checkpoint_mode=warm-start", "--set", "num_gpus=0")
    done = osmo("workflow", "submit", str(folder / "train.yaml"), *words)
    assert done.returncode == 0, done.stdout
    service.wait("isaaclab-inline-training-1")
    environment = pods[0].environment
    assert environment["AZURE_CLIENT_ID"] == "id"
    assert "AZURE_TENANT_ID" not in environment
    job, context = container.load(container.prepare_job(tmp_path / "run", environment))
    assert job == TrainJob(
        task="Isaac-Ant-v0",
        num_envs=64,
        run_smoke_test=True,
        overrides=("agent.policy.dims=[128,128]", "env.x=1"),
        checkpoint_uri="runs:/1/x",
        checkpoint_mode="warm-start",
    )
    assert context.azure.resource_group == "rg-example"


@pytest.mark.parametrize(
    ("release", "words", "kind"),
    [("6.3.1", (), "dataset"), ("6.4.0", ("--set-string", "payload_url=s3://b/code/training"), "url")],
    indirect=["release"],
)
def test_the_folder_template_finds_its_payload(
    service: OsmoService, osmo: Any, folder: Path, words: tuple[str, ...], kind: str
) -> None:
    service.cluster.runner = Pod.run
    package = folder.parents[1] / "src/training/gaitway_runtime"
    (package / "container.py").write_text("import os; print('at', os.environ['PYTHONPATH'], os.listdir('.'))")
    if kind == "url":
        osmo("data", "upload", "s3://b/code", str(package.parent), check=True)
    done = osmo("workflow", "submit", str(folder / "train-dataset.yaml"), *words)
    assert done.returncode == 0, done.stdout
    workflow = service.wait("isaaclab-dataset-training-1")
    assert workflow.status == "COMPLETED", workflow.lines
    assert any("at /data/training-code/training ['gaitway_runtime']" in line for line in workflow.lines)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("x{{ 7 * 7 }}", "'a_value_holds_a_brace' is undefined"),
        ('x"\n      EVIL: "1', None),
        ("back\\slash 'quote' #hash: [", None),
    ],
)
def test_a_value_cannot_break_out_of_its_place(
    service: OsmoService, osmo: Any, pods: list[Pod], folder: Path, value: str, told: str | None
) -> None:
    done = osmo("workflow", "submit", str(folder / "train.yaml"), "--set-string", f"register_checkpoint={value}")
    if told:
        assert (done.returncode, told in done.stdout) == (1, True)
        return
    assert done.returncode == 0, done.stdout
    service.wait("isaaclab-inline-training-1")
    assert pods[0].environment["REGISTER_CHECKPOINT"] == value
    assert "EVIL" not in pods[0].environment


def test_a_storage_address_cannot_end_its_quotes(service: OsmoService, osmo: Any, folder: Path) -> None:
    words = ("--set-string", 'storage_uri=s3://b/x"\n    evil: "y')
    done = osmo("workflow", "submit", str(folder / "train.yaml"), *words)
    assert (done.returncode, "'a_value_holds_a_quote' is undefined" in done.stdout) == (1, True)


def test_gaitway_submits_the_template_as_well(
    service: OsmoService, gaitway: Any, pods: list[Pod], folder: Path, project: Path
) -> None:
    words = ("--workflow", str(folder / "train.yaml"), "--task", "Isaac-Ant-v0", "--num-gpus", "0")
    ran = gaitway("train", "--on", "osmo", *words, "--storage-uri", "s3://bucket/robots")
    assert ran.code == 0, ran.err
    (workflow,) = service.workflows
    service.wait(workflow)
    assert pods[0].environment["TASK"] == "Isaac-Ant-v0"
    archive = zipfile.ZipFile(io.BytesIO(pods[0].files["/tmp/gaitway/payload.zip"]))
    assert archive.namelist() == ["gaitway_runtime/__init__.py", ".gaitway-payload.json"]
