"""Generator of the workflow templates for users who submit with ``osmo`` itself.

``make regenerate`` writes them from the declarations, so that no default is typed twice and the entry script in
them is the current one. A test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml
from gaitway_runtime.spec.job import InferJob, Job, TrainJob, ValidateJob
from gaitway_runtime.spec.run_context import AzureContext
from gaitway_runtime.spec.settings import settings_of

from ...settings.resolve import Declared, declared
from ..container import ENVIRONMENT
from .names import TASKS
from .options import DATASET_TRAINING, DEFAULTS, OsmoOptions
from .payload import encoded
from .template import name_of, text_of
from .workflow import FILES, RESCHEDULE, START, entry_script, run_folder

AZURE = ("azure_subscription_id", "azure_resource_group", "azure_workspace_name", "azure_storage_account")
IDENTITY = ("azure_client_id", "azure_tenant_id")
ONLY_GAITWAY = ("contract",)
"""Job settings that name a file on the user's machine."""

ARCHIVE = """\
#   mkdir -p .tmp && (cd ../../src/training && zip -qr - . -x '*__pycache__*') > .tmp/osmo-training.zip
#   base64 -w0 .tmp/osmo-training.zip > .tmp/osmo-training.b64
"""


@dataclass(frozen=True)
class PublishedTemplate:
    """One template file."""

    file: str
    title: str
    job: type[Job]
    dataset: bool = False
    localpath: str = ".tmp/osmo-training.b64"

    @property
    def name(self) -> str:
        """Name of the workflow."""
        return DATASET_TRAINING if self.dataset else DEFAULTS[self.job.kind].name


TEMPLATES = (
    PublishedTemplate("train.yaml", "Isaac Lab training; the payload travels inside the request", TrainJob),
    PublishedTemplate(
        "train-dataset.yaml", "Isaac Lab training; the payload is a folder of its own", TrainJob, dataset=True
    ),
    PublishedTemplate("infer.yaml", "Export a checkpoint, check the exports, play them in simulation", InferJob),
    PublishedTemplate(
        "validate.yaml", "Evaluate a checkpoint or registered model against its task's criterion", ValidateJob
    ),
    PublishedTemplate(
        "templates/isaaclab-inline.yaml",
        "Isaac Lab training, under the name that older instructions use",
        TrainJob,
        localpath="../.tmp/osmo-training.b64",
    ),
)


def render(template: PublishedTemplate) -> str:
    """Return the text of a template file."""
    defaults = default_values(template)
    names = ", ".join(defaults)
    bare = ", ".join(name for name in ("storage_uri", "dataset_name") if name in defaults)
    tail = indent(yaml.safe_dump(defaults, sort_keys=False, width=10**9), "  ")
    return f"""\
# {template.title}.
#
{_usage(template)}#
# Written by `make regenerate` from the declarations; do not edit it.
# Variables are what the flags of `gaitway {template.job.kind}` are called, with their defaults at the end.
workflow:
  # A brace in a value would be rendered a second time, a quote could end its text: refused, by these names.
  # {{% for value in [{names}] if "{{" in value | string %}}{{{{ a_value_holds_a_brace }}}}{{% endfor %}}
  # {{% for value in [{bare}] if value | tojson != '"' ~ value ~ '"' %}}{{{{ a_value_holds_a_quote }}}}{{% endfor %}}
  name: {_json("workflow_name")}
  timeout:
    exec_timeout: {_json("exec_timeout")}
  resources:
    default:
      cpu: {{{{ cpu }}}}
      gpu: {{{{ num_gpus }}}}
      memory: {_json("memory")}
      storage: {_json("storage")}
{_optional("resource_platform", f"      platform: {_json('resource_platform')}")}\
  tasks:
  - name: {TASKS[template.job.kind]}
    image: {_json("image")}
    command: [/bin/bash, -c]
    args:
    - |
{indent(START, "      ")}\
    environment:
{indent(_environment(template), "      ")}\
    files:
    # {FILES}/entry.py: src/gaitway/platforms/osmo/entry.py, encoded so that nothing in it is rendered
    - path: {FILES}/entry.py
      base64: true
      contents: {encoded(entry_script().encode())}
{_data(template)}\
default-values:
{tail}"""


def default_values(template: PublishedTemplate) -> dict[str, Any]:
    """Return the default of every variable of a template."""
    scale = DEFAULTS[template.job.kind]
    options = declared([OsmoOptions])
    found: dict[str, Any] = {
        "workflow_name": template.name,
        "exec_timeout": scale.exec_timeout,
        "cpu": scale.cpu,
        "num_gpus": options["num_gpus"].default,
        "memory": scale.memory,
        "storage": scale.storage,
    }
    plain = ["resource_platform", "image", "payload_root", "storage_uri", "tracking_uri", "container_python"]
    if template.dataset:
        plain += ["dataset_bucket", "dataset_name"]
        found |= {"training_localpath": "../../src/training", "payload_url": ""}
    else:
        found["payload_localpath"] = template.localpath
    found |= {key: text_of(options[key], options[key].default) for key in (*plain, *IDENTITY)}
    found |= {name_of(item): text_of(item, item.default) for item in _job_settings(template.job)}
    return found | dict.fromkeys(AZURE, "")


def _job_settings(job: type[Job]) -> list[Declared]:
    return [item for item in declared([job]).values() if item.info.env and item.key not in ONLY_GAITWAY]


def _environment(template: PublishedTemplate) -> str:
    lines = {name: f'"{value}"' for name, value in ENVIRONMENT.items()}
    lines |= {
        "GAITWAY_PLATFORM": "osmo",
        "PAYLOAD": '"{{input:0}}"' if template.dataset else f"{FILES}/payload.zip",
        "PAYLOAD_ROOT": _json("payload_root"),
        **({"PAYLOAD_LINK": '{{ ("/data/" ~ dataset_name ~ "/training") | tojson }}'} if template.dataset else {}),
        "RUN_DIR": '"{{output}}"',
        "ATTEMPT_OF": '"{{workflow_id}}"',
        "RUN_ID": '"workflow:{{workflow_id}}"',
        "PYTHON": _json("container_python"),
        "NUM_GPUS": _json("num_gpus"),
        "JOB_KIND": template.job.kind,
    }
    if template.job is TrainJob:
        # A place of its own below: the job asks OSMO for the unique id that goes with the workflow's.
        lines["KEEP_AT"] = '"{% if storage_uri %}{{ storage_uri }}/runs{% endif %}"'
    lines |= {item.info.env[0]: _json(name_of(item)) for item in _job_settings(template.job)}
    azure = {f"azure_{field.name}": info.env[0] for field, info in settings_of(AzureContext)}
    lines |= {azure[name]: _json(name) for name in AZURE}
    text = "".join(f"{name}: {value}\n" for name, value in lines.items())
    # Left out rather than empty: an empty AZURE_CLIENT_ID would hide the workload identity of the task.
    others = {"tracking_uri": "MLFLOW_TRACKING_URI"} | {name: name.upper() for name in IDENTITY}
    return text + "".join(_optional(name, f"{variable}: {_json(name)}") for name, variable in others.items())


def _data(template: PublishedTemplate) -> str:
    """Return the payload's file, the inputs, and the outputs of a job that does not upload them itself."""
    if template.dataset:
        text = (
            "    inputs:\n"
            "    # OSMO up to 6.3 has datasets; later ones take a folder that you have uploaded (osmo data upload).\n"
            "    {% if payload_url %}\n"
            f"    - url: {_json('payload_url')}\n"
            "    {% else %}\n"
            "    - dataset:\n"
            '        name: {{ (dataset_bucket ~ "/" ~ dataset_name) | tojson }}\n'
            f"        localpath: {_json('training_localpath')}\n"
            "    {% endif %}\n"
        )
    else:
        text = f"    - path: {FILES}/payload.zip\n      base64: true\n      localpath: {_json('payload_localpath')}\n"
    if template.job is not TrainJob:
        base = run_folder("{{ storage_uri }}", "{{workflow_id}}")
        text += _optional("storage_uri", f'    outputs:\n    - url: "{base}/files"')
    return f'{text}    exitActions:\n      RESCHEDULE: "{RESCHEDULE}"\n'


def _usage(template: PublishedTemplate) -> str:
    """Return how to submit the file by hand, as comment lines."""
    folder = "workflows/osmo"
    submit = f"#   osmo workflow submit {Path(template.file).as_posix()} --set-string task=Isaac-Ant-v0"
    if template.job is not TrainJob:
        submit += " checkpoint_uri=runs:/ID/checkpoints/final"
    lines = f"# In {folder}, with all values after one --set-string (OSMO up to 6.3 forgets all but the last):\n"
    return lines + ("" if template.dataset else ARCHIVE) + submit + "\n"


def _json(variable: str) -> str:
    """Return the expression of a variable as a YAML text that no value can break out of."""
    return f"{{{{ {variable} | string | tojson }}}}"


def _optional(variable: str, lines: str) -> str:
    return f"{{% if {variable} %}}\n{lines}\n{{% endif %}}\n"
