"""Terraform files' names: what the check finds, and the schema that it compares with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from azurerm_schema import Assembly, Body, Kind, Schema, extract, load, write
from terraform_names import problems, reference_problems

DISK = Body({"size": True, "tier": False})
BOX = Kind(Body({"name": True, "location": False}, {"disk": DISK}, frozenset({"disk"})), frozenset({"id", "privateip"}))
SCHEMA = Schema("4.55.0", {"resource.azurerm_box": BOX})


def resource(**body: Any) -> dict[str, Any]:
    return {"resource": [{"azurerm_box": {"this": body}}]}


def test_a_resource_of_known_names_passes() -> None:
    written = resource(name=["a"], for_each=["${var.x}"], disk=[{"size": [1]}], lifecycle=[{}], __start_line__=1)
    assert list(problems(written, SCHEMA)) == []


def test_a_misspelt_argument_names_the_nearest() -> None:
    written = resource(name=["a"], locatoin=["b"], disk=[{"size": [1]}])
    assert list(problems(written, SCHEMA)) == ["azurerm_box.this: unknown name locatoin, did you mean location?"]


def test_what_is_required_is_missed_in_resources_and_blocks() -> None:
    assert list(problems(resource(disk=[{"tier": ["x"]}]), SCHEMA)) == [
        "azurerm_box.this.disk: size is required",
        "azurerm_box.this: name is required",
    ]
    assert list(problems(resource(name=["a"]), SCHEMA)) == ["azurerm_box.this: disk is required"]


def test_a_block_that_is_made_dynamically_is_a_block() -> None:
    assert list(problems(resource(name=["a"], dynamic=[{"disk": {"for_each": ["${var.disks}"]}}]), SCHEMA)) == []


def test_a_type_that_the_provider_does_not_have_is_named() -> None:
    [line] = problems({"data": [{"azurerm_box": {"this": {}}}]}, SCHEMA)
    assert line.startswith("data azurerm_box.this: azurerm 4.55.0 has no such type")


def test_an_attribute_that_nothing_offers_is_named() -> None:
    text = "x = azurerm_box.this.private_ip\ny = azurerm_box.this[0].public_ip\nz = azurerm_box.this"
    [line] = reference_problems(text, SCHEMA)
    assert line == "azurerm_box.this[0].public_ip: azurerm_box has no attribute public_ip"


def _property(name: str, kind: Any, page: str = "box", **more: Any) -> dict[str, Any]:
    docs = f"https://registry.terraform.io/providers/hashicorp/azurerm/4.55.0/docs/resources/{page}#{name} Box#{name}"
    return {"name": name, "type": kind, "docs": {"summary": docs}, **more}


def test_the_schema_is_read_from_the_generators_own_description(tmp_path: Path) -> None:
    block = {"collection": {"elementtype": {"fqn": "p.box.BoxDisk"}, "kind": "array"}}
    types = {
        "p.box.BoxConfig": {
            "kind": "interface",
            "properties": [
                _property("name", {"primitive": "string"}),
                _property("location", {"primitive": "string"}, optional=True),
                _property("disk", {"union": {"types": [{"fqn": "cdktf.IResolvable"}, block]}}),
            ],
        },
        "p.box.BoxDisk": {
            "kind": "interface",
            "properties": [
                _property("size", {"primitive": "number"}),
                _property("tier", {"primitive": "string"}, optional=True),
            ],
        },
        "p.box.Box": {
            "kind": "class",
            "properties": [
                {"name": "id"},
                {"name": "privateIp"},
                {"name": "nameInput"},
                {"name": "tf", "static": True},
            ],
        },
    }
    found = extract(Assembly({"types": types}), ["resource.azurerm_box", "resource.azurerm_bax"])
    assert found == SCHEMA
    write(found, tmp_path / "schema.json")
    assert load(tmp_path / "schema.json") == SCHEMA


@pytest.mark.parametrize("kind", ["azurerm_storage_account", "azurerm_kubernetes_cluster_node_pool"])
def test_the_projects_schema_holds_what_it_deploys(kind: str) -> None:
    schema = load()
    assert json.loads(json.dumps(schema.provider)) == "4.55.0"
    assert "name" in schema.kinds[f"resource.{kind}"].body.arguments
