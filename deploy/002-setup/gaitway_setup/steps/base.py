"""Steps, and the commands that several of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .. import files
from ..actions import Action, Plan
from ..deployment import Deployment

CLUSTER = ("cluster_name", "azure_resource_group", "azure_subscription_id")
"""Settings that every step needs."""


@dataclass(frozen=True)
class Step:
    """One numbered step.

    Attributes:
        number: Its place in the order, and in its script's name.
        name: Its name, with hyphens.
        title: What is installed when it is done.
        plan: Function that returns its plan.
        removal: Function that returns the plan of its removal.
        there: Function that returns a read-only command, which succeeds where the step has been done.
        after: Names of the steps that must come first.
        needs: Settings that it cannot do without.
        pools: Whether it needs GPU pools.
        then: The next command.
    """

    number: int
    name: str
    title: str
    plan: Callable[[Deployment], Plan]
    removal: Callable[[Deployment], Plan]
    there: Callable[[Deployment], tuple[str, ...]]
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = CLUSTER
    pools: bool = False
    then: str = ""

    @property
    def script(self) -> str:
        """Path of its script."""
        return f"deploy/002-setup/{self.number:02d}-{self.name}.sh"


def az(deployment: Deployment, *words: str) -> tuple[str, ...]:
    """Return an ``az`` command in the deployment's subscription."""
    return ("az", *words, "--subscription", deployment["azure_subscription_id"], "--only-show-errors")


def kubectl(deployment: Deployment, *words: str) -> tuple[str, ...]:
    """Return a ``kubectl`` command for this cluster only."""
    return ("kubectl", "--kubeconfig", deployment.kubeconfig, *words)


def access(deployment: Deployment) -> tuple[Action, ...]:
    """Write a kubeconfig of its own; the user's kubeconfig is not touched."""
    where = ("--resource-group", deployment["azure_resource_group"], "--name", deployment["cluster_name"])
    fetch = az(deployment, "aks", "get-credentials", *where, "--file", deployment.kubeconfig, "--overwrite-existing")
    return (
        Action("get the cluster's credentials", fetch, every_time=True),
        Action(
            "log in to it with the Azure CLI's login",
            ("kubelogin", "convert-kubeconfig", "--login", "azurecli", "--kubeconfig", deployment.kubeconfig),
            every_time=True,
        ),
    )


def helm_install(
    deployment: Deployment,
    release: str,
    namespace: str,
    *,
    pin: str,
    values: str,
    own_values: str = "",
    timeout: str = "15m",
) -> Action:
    """Install or upgrade a chart.

    Args:
        deployment: The deployment.
        release: Name of the release.
        namespace: Namespace it goes to.
        pin: Its entry in ``versions.yaml``.
        values: Its file of values.
        own_values: Values of this deployment, passed on standard input.
        timeout: Longest wait until everything runs.
    """
    chart = files.versions()[pin]
    repository = ("--repo", chart["repository"]) if "repository" in chart else ()
    argv = (
        *("helm", "--kubeconfig", deployment.kubeconfig, "upgrade", "--install", release, chart["chart"], *repository),
        *("--version", chart["version"], "--namespace", namespace, "--create-namespace"),
        *("--values", files.values(values), *(("--values", "-") if own_values else ())),
        *("--wait", "--timeout", timeout),
    )
    return Action(f"install {release} {chart['version']}", argv, feed=own_values)


def helm_remove(deployment: Deployment, release: str, namespace: str) -> Action:
    """Uninstall a release; a missing one is not an error."""
    where = ("--namespace", namespace, "--ignore-not-found", "--wait")
    return Action(f"remove {release}", ("helm", "--kubeconfig", deployment.kubeconfig, "uninstall", release, *where))


def apply(
    deployment: Deployment, says: str, manifest: str, *, unless: tuple[str, ...] = (), strict: bool = True
) -> Action:
    """Apply a manifest."""
    check = () if strict else ("--validate=warn",)
    return Action(says, kubectl(deployment, "apply", *check, "--filename", "-"), feed=manifest, unless=unless)


def delete(deployment: Deployment, kind: str, *names: str, namespace: str = "") -> Action:
    """Delete objects; missing ones are not an error."""
    where = ("--namespace", namespace) if namespace else ()
    says = f"remove {kind} {', '.join(names)}"
    return Action(says, kubectl(deployment, "delete", kind, *names, *where, "--ignore-not-found"))


def get(deployment: Deployment, kind: str, name: str, namespace: str = "") -> tuple[str, ...]:
    """Return a command that succeeds if an object exists."""
    return kubectl(deployment, "get", kind, name, *(("--namespace", namespace) if namespace else ()))


def release_there(deployment: Deployment, release: str, namespace: str) -> tuple[str, ...]:
    """Return a command that succeeds if a release exists."""
    return ("helm", "--kubeconfig", deployment.kubeconfig, "status", release, "--namespace", namespace)


def folder(deployment: Deployment, name: str) -> str:
    """Return the path of a folder on this machine that belongs to the cluster."""
    return str(Path(deployment.home) / f"{deployment['cluster_name']}.{name}")
