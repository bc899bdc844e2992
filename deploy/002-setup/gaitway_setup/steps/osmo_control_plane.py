"""Step 04, OSMO's control plane: passwords and encryption key, pool, platforms and data store."""

from __future__ import annotations

import base64
import json
import secrets

from gaitway.errors import UsageError

from .. import files
from ..actions import LATE, Action, Plan
from ..deployment import Deployment
from . import osmo_values
from .base import CLUSTER, Step, access, apply, az, delete, helm_install, helm_remove, release_there

RELEASE = "osmo"
KEY_SECRET, ADMIN_SECRET = "osmo-encryption-key", "osmo-admin-password"
"""Secrets that this step creates in the vault; without the first OSMO's data cannot be read."""


def plan(deployment: Deployment) -> Plan:
    """Create passwords and key, pass them to the cluster, and install OSMO."""
    if deployment["scheduler"] != "kai":
        raise UsageError(
            "OSMO needs the scheduler KAI",
            source="--scheduler volcano",
            allowed="kai",
            hint="deploy/002-setup/02-scheduler.sh --scheduler kai",
        )
    namespace = deployment["control_namespace"]
    actions = (
        *access(deployment),
        apply(deployment, f"make the namespace {namespace}", files.manifest("namespace", name=namespace)),
        *_made_once(deployment, KEY_SECRET, "new_key"),
        *_made_once(deployment, ADMIN_SECRET, "new_password"),
        _read(deployment, deployment["database_secret"], "database_password"),
        _read(deployment, deployment["redis_secret"], "redis_password"),
        _read(deployment, KEY_SECRET, "key"),
        _read(deployment, ADMIN_SECRET, "admin_password"),
        _password(deployment, "db-secret", "db-password", "database_password"),
        _password(deployment, "redis-secret", "redis-password", "redis_password"),
        _password(deployment, "default-admin-secret", "password", "admin_password"),
        apply(
            deployment,
            "give OSMO its encryption key",
            files.manifest("encryption-key", namespace=namespace, key=LATE + "key"),
        ),
        helm_install(
            deployment, RELEASE, namespace, pin="osmo", values="osmo", own_values=osmo_values.control_plane(deployment)
        ),
    )
    return Plan(actions, {"new_key": _new_key, "new_password": lambda: secrets.token_urlsafe(32)})


def removal(deployment: Deployment) -> Plan:
    """Remove OSMO and its namespace. Database, files and the vault's secrets belong to Terraform and stay."""
    namespace = deployment["control_namespace"]
    return Plan(
        (*access(deployment), helm_remove(deployment, RELEASE, namespace), delete(deployment, "namespace", namespace))
    )


def _made_once(deployment: Deployment, name: str, value: str) -> tuple[Action, ...]:
    """Create a secret in the vault unless it exists."""
    vault = ("--vault-name", deployment["key_vault"], "--name", name)
    new = az(
        deployment,
        "keyvault",
        "secret",
        "set",
        *vault,
        "--file",
        "/dev/stdin",
        "--encoding",
        "utf-8",
        "--output",
        "none",
    )
    there = az(deployment, "keyvault", "secret", "show", *vault, "--output", "none")
    return (Action(f"make {name}", new, feed=LATE + value, unless=there),)


def _read(deployment: Deployment, name: str, keeps: str) -> Action:
    vault = ("--vault-name", deployment["key_vault"], "--name", name)
    argv = az(deployment, "keyvault", "secret", "show", *vault, "--query", "value", "--output", "tsv")
    return Action(f"read {name} from the vault", argv, keeps=keeps, every_time=True)


def _password(deployment: Deployment, name: str, key: str, value: str) -> Action:
    namespace = deployment["control_namespace"]
    manifest = files.manifest("secret", name=name, namespace=namespace, key=key, value=LATE + value)
    return apply(deployment, f"give OSMO {name}", manifest)


def _new_key() -> str:
    """Return a new encryption key in OSMO's format: a JSON web key of 256 bits, in base64."""
    key = {"k": base64.b64encode(secrets.token_bytes(32)).decode(), "kid": "key1", "kty": "oct"}
    return base64.b64encode(json.dumps(key).encode()).decode()


STEP = Step(
    number=4,
    name="osmo-control-plane",
    title="OSMO's control plane",
    plan=plan,
    removal=removal,
    there=lambda deployment: release_there(deployment, RELEASE, deployment["control_namespace"]),
    after=("gpu-operator", "scheduler"),
    needs=(
        *(*CLUSTER, "azure_storage_account", "key_vault", "osmo_client", "control_namespace", "workflow_namespace"),
        *("database_host", "database_user", "database_name", "database_secret"),
        *("redis_host", "redis_port", "redis_secret"),
    ),
    pools=True,
)
