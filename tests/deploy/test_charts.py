"""Checks of Helm values, pinned releases and fields of custom resources."""

from __future__ import annotations

import copy
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import chart_keys
import charts
import check
import crds
import pytest
import yaml
from gaitway_setup import files, rendered
from gaitway_setup.deployment import Deployment, read_deployment
from gaitway_setup.steps import azureml


@pytest.fixture
def known() -> charts.Charts:
    return charts.load_charts()


@pytest.fixture
def made(deployment: Path, home: Path) -> Deployment:
    return read_deployment({"terraform_dir": str(deployment)}, {}, home)


def test_every_value_is_read_by_its_chart(made: Deployment, known: charts.Charts) -> None:
    for name, documents in rendered.values(made).items():
        for document in documents:
            assert list(charts.value_problems(name, document, known.charts[name])) == []


@pytest.mark.parametrize(
    ("pin", "path", "said"),
    [
        ("gpu_operator", "toolkit.envs", "did you mean toolkit.env?"),
        ("gpu_operator", "deamonsets.tolerations", "did you mean daemonsets.tolerations?"),
        ("gpu_operator", "node-feature-discovery.worker.toleration", "did you mean node-feature-discovery.worker.tole"),
        ("kai_scheduler", "scheduler.additionalArgs", "kai_scheduler v0.17.0 reads no value scheduler.additionalArgs"),
        ("volcano", "custom.scheduler_config_overide", "did you mean custom.scheduler_config_override?"),
        ("osmo", "services.redis.passwordSecretName", "osmo 1.3.0 reads no value services.redis.passwordSecretName"),
        ("osmo", "services.configs.podTemplate.mine", "did you mean services.configs.podTemplates"),
        ("osmo_operator", "global.accountTokenSecrets", "did you mean global.accountTokenSecret?"),
        (
            "azureml_extension",
            "amloperator.skipResourcesValidation",
            "did you mean amloperator.skipResourceValidation?",
        ),
        ("azureml_extension", "workLoadToleration[0].values", "reads no value workLoadToleration[0].values"),
    ],
)
def test_a_misspelt_value_is_found(known: charts.Charts, pin: str, path: str, said: str) -> None:
    values: Any = "x"
    for part in reversed(path.split(".")):
        values = {part: values}
    [line] = charts.value_problems(pin, values, known.charts[pin])
    assert said in line


def test_every_pin_was_looked_at_and_none_is_withdrawn(known: charts.Charts) -> None:
    assert list(charts.pin_problems(files.versions(), known)) == []


def test_a_retracted_release_and_one_that_nobody_looked_at_are_found(known: charts.Charts) -> None:
    pins: dict[str, dict[str, Any]] = copy.deepcopy({**files.versions()})
    pins["kai_scheduler"]["version"] = "v0.20.1"
    del pins["volcano"]["looked"]
    found = "\n".join(charts.pin_problems(pins, known))
    assert "kai_scheduler v0.20.1 is withdrawn: it is the commit that retracts" in found
    assert "kai_scheduler: the recorded values are of v0.17.0, the pin is v0.20.1" in found
    assert "volcano 1.13.0: 'looked' (a date) and 'support'" in found


def test_a_field_that_an_instance_type_does_not_have_is_found(made: Deployment) -> None:
    kind = crds.load_crds()["amlarc.azureml.com/v1alpha1/InstanceType"]
    item = yaml.safe_load(azureml.instance_type(made.pools[0]))
    assert list(crds.field_problems(item, kind)) == []
    item["spec"]["tolerations"] = []
    item["spec"]["resources"]["limit"] = item["spec"]["resources"].pop("limits")
    assert sorted(crds.field_problems(item, kind)) == [
        "spec.resources.limits is required",
        "there is no field spec.resources.limit, did you mean limits?",
        "there is no field spec.tolerations",
    ]


@pytest.mark.parametrize(
    ("file", "right", "wrong", "look", "said"),
    [
        ("values/gpu-operator.yaml", "toolkit:", "toolkits:", "helm_values", "did you mean toolkit"),
        ("manifests/instance-type.yaml", "nodeSelector:", "nodeSelectors:", "custom_resources", "spec.nodeSelectors"),
        ("versions.yaml", "v0.17.0", "v0.20.1", "pinned_releases", "kai_scheduler v0.20.1 is withdrawn"),
    ],
)
def test_check_deploy_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, right: str, wrong: str, look: str, said: str
) -> None:
    """A Helm value is misspelt, a kind has no such field, KAI's pin is the retracted release."""
    (tmp_path / "deploy").mkdir()
    for part in ("src", "tests"):
        (tmp_path / part).symlink_to(check.ROOT / part)
    shutil.copytree(check.ROOT / "deploy" / "002-setup", tmp_path / "deploy" / "002-setup")
    path = tmp_path / "deploy" / "002-setup" / file
    text = path.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    monkeypatch.setattr(check, "ROOT", tmp_path)
    monkeypatch.setattr(check, "PROJECT_PYTHON", sys.executable)
    monkeypatch.setattr(check, "CHECKS", [found for found in check.CHECKS if found.look.__name__ == look])
    found = check.CHECKS[0].look()
    assert said in "\n".join(found)
    assert check.main() == (1 if shutil.which("terraform") else 3)


def test_the_values_of_a_chart_are_read_from_its_templates(tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "values.yaml").write_text("scheduler: {args: {}, unused: 1}\nopen: {}\nnested: {a: {b: 1}}\n")
    (chart / "templates" / "a.yaml").write_text(
        'x: {{ .Values.scheduler.args | toYaml }}\ny: {{ $.Values.open }}\nz: {{ (index .Values "nested").a }}'
    )
    found = chart_keys.record("1.0", chart, "here", {})
    known = charts.Chart("1.0", "here", found["looked"], frozenset(found["read"]), found["children"])
    assert charts.is_read("scheduler.args.anything", known)
    assert charts.is_read("open.anything.at.all", known)
    assert charts.is_read("nested.a.b", known)
    assert not charts.is_read("nested.a.c", known)
    assert not charts.is_read("scheduler.unused", known)
    (tmp_path / "charts.json").write_text(json.dumps({"charts": {}, "withdrawn": {}}))
    chart_keys.write("mine", found, tmp_path / "charts.json")
    assert charts.load_charts(tmp_path / "charts.json").charts["mine"].version == "1.0"


def test_a_pool_is_offered_with_one_gpu_and_with_more(made: Deployment) -> None:
    pool = made.pools[0]
    assert azureml.sizes(pool) == (1,)
    four = type(pool)(pool.name, pool.labels, pool.tolerations, gpus=4)
    assert [azureml.type_name(four, gpus) for gpus in azureml.sizes(four)] == ["gpu", "gpu-2gpu", "gpu-4gpu"]
    limits = yaml.safe_load(azureml.instance_type(four, 4))["spec"]["resources"]["limits"]
    assert limits == {"cpu": "32", "memory": "192Gi", "nvidia.com/gpu": 4}


def test_training_pods_tolerate_the_taints_of_every_pool(made: Deployment) -> None:
    settings = azureml.settings(made)
    keys = {value for name, value in settings.items() if name.endswith("].key")}
    assert keys == {"ml.azure.com/amlarc-workload", "kubernetes.azure.com/scalesetpriority"}
    assert settings["amloperator.skipResourceValidation"] == "True"
    assert settings["volcanoScheduler.schedulerConfigMap"] == azureml.VOLCANO_CONFIG
