"""Step 04: OSMO's control plane, its passwords and its encryption key, its pool, platforms and data store."""

from __future__ import annotations

import base64
import json
import secrets

from gaitway.errors import UsageError

from .. import files
from ..actions import LATE, Action, Plan
from ..ground import Ground
from . import osmo_values
from .base import CLUSTER, Step, access, apply, az, delete, helm_install, helm_remove, release_there

RELEASE = "osmo"
KEY_SECRET, ADMIN_SECRET = "osmo-encryption-key", "osmo-admin-password"
"""Secrets of the vault that this step makes; OSMO's data can be read again only with the first."""


def plan(ground: Ground) -> Plan:
    """Put passwords and key where OSMO looks for them, then install it."""
    if ground["scheduler"] != "kai":
        raise UsageError(
            "OSMO schedules with KAI alone",
            source="--scheduler volcano",
            allowed="kai",
            hint="deploy/002-setup/02-scheduler.sh --scheduler kai",
        )
    namespace = ground["control_namespace"]
    actions = (
        *access(ground),
        apply(ground, f"make the namespace {namespace}", files.manifest("namespace", name=namespace)),
        *_made_once(ground, KEY_SECRET, "new_key"),
        *_made_once(ground, ADMIN_SECRET, "new_password"),
        _read(ground, ground["database_secret"], "database_password"),
        _read(ground, ground["redis_secret"], "redis_password"),
        _read(ground, KEY_SECRET, "key"),
        _read(ground, ADMIN_SECRET, "admin_password"),
        _password(ground, "db-secret", "db-password", "database_password"),
        _password(ground, "redis-secret", "redis-password", "redis_password"),
        _password(ground, "default-admin-secret", "password", "admin_password"),
        apply(
            ground,
            "give OSMO its encryption key",
            files.manifest("encryption-key", namespace=namespace, key=LATE + "key"),
        ),
        helm_install(
            ground, RELEASE, namespace, pin="osmo", values="osmo", own_values=osmo_values.control_plane(ground)
        ),
    )
    return Plan(actions, {"new_key": _new_key, "new_password": lambda: secrets.token_urlsafe(32)})


def removal(ground: Ground) -> Plan:
    """Remove OSMO and its namespace. Database, files and the vault's secrets stay: Terraform made and removes them."""
    namespace = ground["control_namespace"]
    return Plan((*access(ground), helm_remove(ground, RELEASE, namespace), delete(ground, "namespace", namespace)))


def _made_once(ground: Ground, name: str, value: str) -> tuple[Action, ...]:
    """Put a new secret into the vault, unless one of that name is there."""
    vault = ("--vault-name", ground["key_vault"], "--name", name)
    new = az(
        ground, "keyvault", "secret", "set", *vault, "--file", "/dev/stdin", "--encoding", "utf-8", "--output", "none"
    )
    there = az(ground, "keyvault", "secret", "show", *vault, "--output", "none")
    return (Action(f"make {name}", new, feed=LATE + value, unless=there),)


def _read(ground: Ground, name: str, keeps: str) -> Action:
    vault = ("--vault-name", ground["key_vault"], "--name", name)
    argv = az(ground, "keyvault", "secret", "show", *vault, "--query", "value", "--output", "tsv")
    return Action(f"read {name} from the vault", argv, keeps=keeps, every_time=True)


def _password(ground: Ground, name: str, key: str, value: str) -> Action:
    namespace = ground["control_namespace"]
    manifest = files.manifest("secret", name=name, namespace=namespace, key=key, value=LATE + value)
    return apply(ground, f"give OSMO {name}", manifest)


def _new_key() -> str:
    """Return a new encryption key as OSMO takes it: a JSON web key of 256 bits, in base64."""
    key = {"k": base64.b64encode(secrets.token_bytes(32)).decode(), "kid": "key1", "kty": "oct"}
    return base64.b64encode(json.dumps(key).encode()).decode()


STEP = Step(
    number=4,
    name="osmo-control-plane",
    title="OSMO's control plane",
    plan=plan,
    removal=removal,
    there=lambda ground: release_there(ground, RELEASE, ground["control_namespace"]),
    after=("gpu-operator", "scheduler"),
    needs=(
        *(*CLUSTER, "azure_storage_account", "key_vault", "osmo_client", "control_namespace", "workflow_namespace"),
        *("database_host", "database_user", "database_name", "database_secret"),
        *("redis_host", "redis_port", "redis_secret"),
    ),
    pools=True,
)
