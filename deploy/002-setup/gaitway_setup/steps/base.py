"""What a step is, and the commands that several of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .. import files
from ..actions import Action, Plan
from ..ground import Ground

CLUSTER = ("cluster_name", "azure_resource_group", "azure_subscription_id")
"""Settings that every step needs."""


@dataclass(frozen=True)
class Step:
    """One numbered step.

    Attributes:
        number: Its place, which its script is named after.
        name: Its name, with hyphens.
        title: What stands when it is done.
        plan: What it does.
        removal: What takes that away again.
        there: A command that only looks, and succeeds where the step has been done, by whomever.
        after: Names of the steps that must come first.
        needs: Settings without which nothing of it can be run.
        pools: Whether it is about the GPU pools.
        then: What to do next.
    """

    number: int
    name: str
    title: str
    plan: Callable[[Ground], Plan]
    removal: Callable[[Ground], Plan]
    there: Callable[[Ground], tuple[str, ...]]
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = CLUSTER
    pools: bool = False
    then: str = ""

    @property
    def script(self) -> str:
        """The door to it."""
        return f"deploy/002-setup/{self.number:02d}-{self.name}.sh"


def az(ground: Ground, *words: str) -> tuple[str, ...]:
    """Return an ``az`` command in the deployment's subscription."""
    return ("az", *words, "--subscription", ground["azure_subscription_id"], "--only-show-errors")


def kubectl(ground: Ground, *words: str) -> tuple[str, ...]:
    """Return a ``kubectl`` command that can reach no other cluster."""
    return ("kubectl", "--kubeconfig", ground.kubeconfig, *words)


def access(ground: Ground) -> tuple[Action, ...]:
    """Get at the cluster through a file of its own; the user's kubeconfig is not touched."""
    where = ("--resource-group", ground["azure_resource_group"], "--name", ground["cluster_name"])
    fetch = az(ground, "aks", "get-credentials", *where, "--file", ground.kubeconfig, "--overwrite-existing")
    return (
        Action("get at the cluster", fetch, every_time=True),
        Action(
            "log in to it as who is logged in to az",
            ("kubelogin", "convert-kubeconfig", "--login", "azurecli", "--kubeconfig", ground.kubeconfig),
            every_time=True,
        ),
    )


def helm_install(
    ground: Ground,
    release: str,
    namespace: str,
    *,
    pin: str,
    values: str,
    own_values: str = "",
    timeout: str = "15m",
) -> Action:
    """Install a chart, or bring it to what its values say.

    Args:
        ground: What stands already.
        release: Name of the release.
        namespace: Namespace it goes to.
        pin: Its entry in ``versions.yaml``.
        values: Its file of values.
        own_values: Values of this deployment, which are fed to it.
        timeout: How long to wait until everything runs.
    """
    chart = files.versions()[pin]
    repository = ("--repo", chart["repository"]) if "repository" in chart else ()
    argv = (
        *("helm", "--kubeconfig", ground.kubeconfig, "upgrade", "--install", release, chart["chart"], *repository),
        *("--version", chart["version"], "--namespace", namespace, "--create-namespace"),
        *("--values", files.values(values), *(("--values", "-") if own_values else ())),
        *("--wait", "--timeout", timeout),
    )
    return Action(f"install {release} {chart['version']}", argv, feed=own_values)


def helm_remove(ground: Ground, release: str, namespace: str) -> Action:
    """Take a release away; one that is not there is no error."""
    where = ("--namespace", namespace, "--ignore-not-found", "--wait")
    return Action(f"remove {release}", ("helm", "--kubeconfig", ground.kubeconfig, "uninstall", release, *where))


def apply(ground: Ground, says: str, manifest: str, *, unless: tuple[str, ...] = (), strict: bool = True) -> Action:
    """Bring a manifest's object to what it says."""
    check = () if strict else ("--validate=warn",)
    return Action(says, kubectl(ground, "apply", *check, "--filename", "-"), feed=manifest, unless=unless)


def delete(ground: Ground, kind: str, *names: str, namespace: str = "") -> Action:
    """Take objects away; those that are not there are no error."""
    where = ("--namespace", namespace) if namespace else ()
    says = f"remove {kind} {', '.join(names)}"
    return Action(says, kubectl(ground, "delete", kind, *names, *where, "--ignore-not-found"))


def get(ground: Ground, kind: str, name: str, namespace: str = "") -> tuple[str, ...]:
    """Return a command that looks whether an object is there."""
    return kubectl(ground, "get", kind, name, *(("--namespace", namespace) if namespace else ()))


def release_there(ground: Ground, release: str, namespace: str) -> tuple[str, ...]:
    """Return a command that looks whether a release is there."""
    return ("helm", "--kubeconfig", ground.kubeconfig, "status", release, "--namespace", namespace)


def folder(ground: Ground, name: str) -> str:
    """Return a folder of this machine that belongs to the cluster."""
    return str(Path(ground.home) / f"{ground['cluster_name']}.{name}")
