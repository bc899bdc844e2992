"""Step 05, OSMO's agent: its account and token, the identity of training pods, and a final check."""

from __future__ import annotations

import datetime
from dataclasses import replace

from .. import files
from ..actions import LATE, Action, Plan
from ..deployment import Deployment
from . import osmo_values
from .base import CLUSTER, Step, access, apply, delete, folder, get, helm_install, helm_remove, kubectl, release_there

RELEASE = "osmo-operator"
ACCOUNT = "backend-operator"
TOKEN_SECRET = "osmo-operator-token"


def plan(deployment: Deployment) -> Plan:
    """Create the agent's token and the pods' identity, then install the agent."""
    agent, workflows = deployment["operator_namespace"], deployment["workflow_namespace"]
    account = files.manifest(
        "workload-account",
        name=osmo_values.WORKFLOW_ACCOUNT,
        namespace=workflows,
        client_id=deployment["workload_client"],
    )
    values = osmo_values.operator(deployment)
    actions = (
        *access(deployment),
        apply(deployment, f"make the namespace {agent}", files.manifest("namespace", name=agent)),
        apply(deployment, f"make the namespace {workflows}", files.manifest("namespace", name=workflows)),
        apply(deployment, "give training pods an identity", account),
        *_login(deployment),
        *_token(deployment),
        helm_install(deployment, RELEASE, agent, pin="osmo_operator", values="osmo-operator", own_values=values),
        _osmo(deployment, "check that OSMO has the pool", "pool", "list"),
    )
    return Plan(actions, {"expiry": lambda: _expiry(int(deployment["token_days"]))})


def removal(deployment: Deployment) -> Plan:
    """Remove the agent and the namespaces of agent and workflows."""
    agent, workflows = deployment["operator_namespace"], deployment["workflow_namespace"]
    return Plan(
        (
            *access(deployment),
            helm_remove(deployment, RELEASE, agent),
            delete(deployment, "namespace", agent, workflows),
        )
    )


def _login(deployment: Deployment) -> tuple[Action, ...]:
    port, namespace = deployment["osmo_port"], deployment["control_namespace"]
    forward = kubectl(deployment, "port-forward", "service/osmo-gateway", f"{port}:80", "--namespace", namespace)
    login = ("login", f"http://localhost:{port}", "--method", "dev", "--username", "admin")
    return (
        Action("forward a port to OSMO", forward, every_time=True, background=True),
        replace(_osmo(deployment, "log in to OSMO, separate from your own login", *login), every_time=True),
    )


def _token(deployment: Deployment) -> tuple[Action, ...]:
    """Create a token for the agent unless it has one; delete the secret to get a new one."""
    agent = deployment["operator_namespace"]
    there = get(deployment, "secret", TOKEN_SECRET, agent)
    known = ("user", "get", ACCOUNT)
    make = ("token", "set", f"{ACCOUNT}-token", "--user", ACCOUNT, "--expires-at", f"{LATE}expiry")
    as_json = ("--roles", "osmo-backend", "--format-type", "json")
    secret = files.manifest("secret", name=TOKEN_SECRET, namespace=agent, key="token", value=LATE + "token")
    account = _osmo(deployment, "make the agent's account", "user", "create", ACCOUNT, "--roles", "osmo-backend")
    token = _osmo(deployment, "make the agent's token", *make, *as_json)
    return (
        replace(account, unless=("osmo", *known)),
        replace(token, unless=there, keeps="token", field="token", every_time=True),
        apply(deployment, "give the agent its token", secret, unless=there),
    )


def _osmo(deployment: Deployment, says: str, *words: str) -> Action:
    """Return an ``osmo`` command that uses the set-up's own login."""
    return Action(says, ("osmo", *words), environ=(("OSMO_CONFIG_FILE_DIR", folder(deployment, "osmo")),))


def _expiry(days: int) -> str:
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime("%Y-%m-%d")


def _there(deployment: Deployment) -> tuple[str, ...]:
    return release_there(deployment, RELEASE, deployment["operator_namespace"])


STEP = Step(
    number=5,
    name="osmo-backend",
    title="OSMO's agent beside the GPUs",
    plan=plan,
    removal=removal,
    there=_there,
    after=("osmo-control-plane",),
    needs=(*CLUSTER, "workload_client", "control_namespace", "operator_namespace", "workflow_namespace"),
    then="osmo login URL, then gaitway doctor --on osmo",
)
