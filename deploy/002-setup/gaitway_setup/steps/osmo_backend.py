"""Step 05: OSMO's agent beside the GPUs: its account and token, the identity of training pods, and a last look."""

from __future__ import annotations

import datetime
from dataclasses import replace

from .. import files
from ..actions import LATE, Action, Plan
from ..ground import Ground
from . import osmo_values
from .base import CLUSTER, Step, access, apply, delete, folder, get, helm_install, helm_remove, kubectl, release_there

RELEASE = "osmo-operator"
ACCOUNT = "backend-operator"
TOKEN_SECRET = "osmo-operator-token"


def plan(ground: Ground) -> Plan:
    """Give the agent a token, the pods an identity, and install the agent."""
    agent, workflows = ground["operator_namespace"], ground["workflow_namespace"]
    account = files.manifest(
        "workload-account", name=osmo_values.WORKFLOW_ACCOUNT, namespace=workflows, client_id=ground["workload_client"]
    )
    values = osmo_values.operator(ground)
    actions = (
        *access(ground),
        apply(ground, f"make the namespace {agent}", files.manifest("namespace", name=agent)),
        apply(ground, f"make the namespace {workflows}", files.manifest("namespace", name=workflows)),
        apply(ground, "give training pods an identity", account),
        *_login(ground),
        *_token(ground),
        helm_install(ground, RELEASE, agent, pin="osmo_operator", values="osmo-operator", own_values=values),
        _osmo(ground, "see that OSMO has the pool", "pool", "list"),
    )
    return Plan(actions, {"expiry": lambda: _expiry(int(ground["token_days"]))})


def removal(ground: Ground) -> Plan:
    """Remove the agent and the namespaces of agent and workflows."""
    agent, workflows = ground["operator_namespace"], ground["workflow_namespace"]
    return Plan((*access(ground), helm_remove(ground, RELEASE, agent), delete(ground, "namespace", agent, workflows)))


def _login(ground: Ground) -> tuple[Action, ...]:
    port, namespace = ground["osmo_port"], ground["control_namespace"]
    forward = kubectl(ground, "port-forward", "service/osmo-gateway", f"{port}:80", "--namespace", namespace)
    login = ("login", f"http://localhost:{port}", "--method", "dev", "--username", "admin")
    return (
        Action("open a way to OSMO", forward, every_time=True, background=True),
        replace(_osmo(ground, "log in to OSMO, beside your own login", *login), every_time=True),
    )


def _token(ground: Ground) -> tuple[Action, ...]:
    """Make a token and hand it to the agent, unless it has one: delete the secret to have a new one made."""
    agent = ground["operator_namespace"]
    there = get(ground, "secret", TOKEN_SECRET, agent)
    known = ("user", "get", ACCOUNT)
    make = ("token", "set", f"{ACCOUNT}-token", "--user", ACCOUNT, "--expires-at", f"{LATE}expiry")
    as_json = ("--roles", "osmo-backend", "--format-type", "json")
    secret = files.manifest("secret", name=TOKEN_SECRET, namespace=agent, key="token", value=LATE + "token")
    account = _osmo(ground, "make the agent's account", "user", "create", ACCOUNT, "--roles", "osmo-backend")
    token = _osmo(ground, "make the agent's token", *make, *as_json)
    return (
        replace(account, unless=("osmo", *known)),
        replace(token, unless=there, keeps="token", field="token", every_time=True),
        apply(ground, "give the agent its token", secret, unless=there),
    )


def _osmo(ground: Ground, says: str, *words: str) -> Action:
    """Return an ``osmo`` command with a login of this set-up's own."""
    return Action(says, ("osmo", *words), environ=(("OSMO_CONFIG_FILE_DIR", folder(ground, "osmo")),))


def _expiry(days: int) -> str:
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime("%Y-%m-%d")


def _there(ground: Ground) -> tuple[str, ...]:
    return release_there(ground, RELEASE, ground["operator_namespace"])


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
