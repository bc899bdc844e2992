"""The deployment to set up: Terraform outputs, read with gaitway's resolver, and a few options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.run_context import AzureContext
from gaitway_runtime.spec.settings import setting

from gaitway.errors import ConfigError
from gaitway.settings.resolve import resolve, terraform_folder
from gaitway.settings.terraform import Outputs, read_outputs
from gaitway.settings.values import Setting, require


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Settings that only the Terraform outputs fill, so that nothing is typed twice."""

    cluster_name: str | None = setting(None, "Kubernetes cluster.", terraform="aks_cluster.value.name")
    cluster_id: str | None = setting(None, "Its Azure resource.", terraform="aks_cluster.value.id")
    key_vault: str | None = setting(None, "Vault of the passwords.", terraform="key_vault.value.name")
    workload_identity: str | None = setting(
        None, "Identity of training jobs.", terraform="ml_workload_identity.value.id"
    )
    workload_client: str | None = setting(
        None, "Client ID of that identity.", terraform="ml_workload_identity.value.client_id"
    )
    osmo_client: str | None = setting(
        None, "Client ID of OSMO's identity.", terraform="osmo_workload_identity.value.client_id"
    )
    database_host: str | None = setting(
        None, "OSMO's PostgreSQL server.", terraform="postgresql_connection_info.value.fqdn"
    )
    database_user: str | None = setting(
        None, "Its administrator.", terraform="postgresql_connection_info.value.admin_username"
    )
    database_name: str | None = setting(None, "Its database.", terraform="postgresql_connection_info.value.database")
    database_secret: str | None = setting(
        None, "The vault's secret with its password.", terraform="postgresql_connection_info.value.password_secret"
    )
    redis_host: str | None = setting(None, "OSMO's Redis.", terraform="managed_redis_connection_info.value.hostname")
    redis_port: int | None = setting(None, "Its port.", terraform="managed_redis_connection_info.value.port")
    redis_secret: str | None = setting(
        None, "The vault's secret with its password.", terraform="managed_redis_connection_info.value.password_secret"
    )
    control_namespace: str | None = setting(
        None, "Namespace of OSMO's services.", terraform="osmo_namespaces.value.control_plane"
    )
    operator_namespace: str | None = setting(
        None, "Namespace of OSMO's agent.", terraform="osmo_namespaces.value.operator"
    )
    workflow_namespace: str | None = setting(
        None, "Namespace of OSMO's workflows.", terraform="osmo_namespaces.value.workflows"
    )


@dataclass(frozen=True, kw_only=True)
class SetupOptions:
    """Options of the set-up."""

    scheduler: str = setting(
        "kai",
        "Scheduler of the GPU pods: KAI, which OSMO needs, or Volcano where Azure ML alone is used.",
        flags="--scheduler",
        env="GAITWAY_SCHEDULER",
        choices=("kai", "volcano"),
    )
    osmo_port: int = setting(
        9000,
        "Local port through which step 05 reaches OSMO.",
        flags="--osmo-port",
        env="GAITWAY_OSMO_PORT",
        minimum=1024,
        maximum=65535,
    )
    token_days: int = setting(
        365, "Days that the agent's OSMO token is good for.", flags="--token-days", minimum=1, maximum=730
    )


SETTINGS: Sequence[type[Any]] = (AzureContext, Cluster, SetupOptions)


@dataclass(frozen=True)
class Pool:
    """A pool of GPU nodes, with the labels to select and the taints to tolerate."""

    name: str
    labels: Mapping[str, str]
    tolerations: tuple[Mapping[str, str], ...]
    gpus: int = 1
    """Of each node."""


@dataclass(frozen=True)
class Deployment:
    """Settings by key, GPU pools, and the folder on this machine that belongs to the cluster."""

    settings: Mapping[str, Setting]
    pools: tuple[Pool, ...]
    home: Path
    terraform_dir: Path
    """Folder of the Terraform outputs."""

    def __getitem__(self, key: str) -> str:
        """Return a setting as text.

        Raises:
            ConfigError: It is not set; the error names the Terraform output that would fill it.
        """
        return str(self.require(key)[0])

    def require(self, *keys: str) -> tuple[Any, ...]:
        """Return settings that must be set.

        Raises:
            ConfigError: One is not set; the error names the Terraform output that would fill it, and what writes it.
        """
        return require(self.settings, *keys, hint=f"terraform -chdir={self.terraform_dir} apply")

    @property
    def kubeconfig(self) -> str:
        """Kubeconfig of this cluster alone."""
        return str(self.home / f"{self['cluster_name']}.kubeconfig")


def read_deployment(cli: Mapping[str, Any], environ: Mapping[str, str], home: Path) -> Deployment:
    """Read the outputs and options.

    Raises:
        ConfigError: The outputs cannot be read.
    """
    folder = terraform_folder(cli, environ)
    own = {key: value for key, value in cli.items() if key != "terraform_dir"}
    settings = resolve(SETTINGS, own, environ=environ, terraform_dir=folder)
    return Deployment(settings, _pools(read_outputs(folder)), home, folder)


def check_needs(deployment: Deployment, needs: Sequence[str], pools: bool) -> None:
    """Check that everything a step needs is set, and report all that is missing at once.

    Raises:
        ConfigError: Something is missing; the error names each setting and the output that would fill it.
    """
    deployment.require(*needs)
    if pools and not deployment.pools:
        raise ConfigError(
            "gpu_pools is not set",
            allowed="gpu_pools: terraform output gpu_pools",
            hint="gpu_pools in terraform.tfvars names at least one pool of GPU nodes",
        )


def _pools(outputs: Outputs) -> tuple[Pool, ...]:
    found = outputs.lookup("gpu_pools.value") or {}
    try:
        return tuple(
            Pool(
                name,
                dict(pool["labels"]),
                tuple(_toleration(taint) for taint in pool["taints"]),
                int(pool.get("gpus", 1)),
            )
            for name, pool in sorted(found.items())
        )
    except (AttributeError, LookupError, TypeError, ValueError):
        raise ConfigError(
            "the Terraform output gpu_pools has another format than this release writes",
            source=f"{outputs.folder}, output gpu_pools",
            allowed="{NAME: {labels: {...}, taints: [KEY=VALUE:EFFECT, ...], gpus: COUNT}}",
            hint=f"terraform -chdir={outputs.folder} apply",
        ) from None


def _toleration(taint: str) -> Mapping[str, str]:
    """Return the toleration of a taint ``KEY=VALUE:EFFECT``."""
    pair, effect = taint.rsplit(":", 1)
    key, _, value = pair.partition("=")
    return {"key": key, "operator": "Equal", "value": value, "effect": effect}
