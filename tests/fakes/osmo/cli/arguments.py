"""Arguments of the ``osmo`` command, by release."""

from __future__ import annotations

import argparse
from typing import Any

from data import data, dataset
from inside import execute, port_forward, rsync
from installation import config, credentials, pools, profile, resources, version
from runs import cancel, events, listing, logs, query, spec
from submission import restart, submit


def parser(release: str) -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="osmo")
    modules = top.add_subparsers(dest="module", required=True)
    _workflow(modules.add_parser("workflow").add_subparsers(dest="action", required=True), release)
    _data(modules.add_parser("data").add_subparsers(dest="action", required=True))
    if release < "6.4":
        _dataset(modules.add_parser("dataset").add_subparsers(dest="action", required=True))
    _with_format(modules.add_parser("version"), version)
    pool = modules.add_parser("pool").add_subparsers(dest="action", required=True).add_parser("list")
    pool.add_argument("--pool", "-p", nargs="+", default=[])
    _with_format(pool, pools)
    resource = modules.add_parser("resource").add_subparsers(dest="action", required=True).add_parser("list")
    resource.add_argument("--pool", "-p", nargs="+", default=[])
    _with_format(resource, resources)
    show = modules.add_parser("config").add_subparsers(dest="action", required=True).add_parser("show")
    show.add_argument("what")
    show.set_defaults(func=config)
    _with_format(modules.add_parser("profile").add_subparsers(dest="action", required=True).add_parser("list"), profile)
    credential = modules.add_parser("credential").add_subparsers(dest="action", required=True).add_parser("list")
    _with_format(credential, credentials)
    return top


def _workflow(actions: Any, release: str) -> None:
    merge = "extend" if release >= "6.4" else "store"  # up to 6.3.1 a repeated flag replaces the earlier one
    for name in ("submit", "validate"):
        command = actions.add_parser(name)
        command.add_argument("workflow_file")
        for flag in ("--set", "--set-string", *(["--set-env"] if name == "submit" else [])):
            command.add_argument(flag, nargs="+", default=[], action=merge)
        command.add_argument("--pool", "-p")
        command.set_defaults(func=submit, dry=False, set_env=[], priority=None, format_type="text")
    command = actions.choices["submit"]
    command.add_argument("--format-type", "-t", choices=("json", "text"), default="text")
    command.add_argument("--dry-run", action="store_true", dest="dry")
    command.add_argument("--priority", type=str.upper, choices=("HIGH", "NORMAL", "LOW"))
    command.add_argument("--rsync")
    for name in ("submit", "validate") if release >= "6.4" else ():
        actions.choices[name].add_argument("--label", action="append", dest="labels", default=[])
    command = actions.add_parser("logs")
    command.add_argument("workflow_id")
    command.add_argument("--task", "-t")
    command.add_argument("--retry-id", "-r", type=int)
    command.add_argument("--error", action="store_true")
    command.add_argument("-n", dest="last", type=int)
    command.set_defaults(func=logs)
    command = actions.add_parser("events")
    command.add_argument("workflow_id")
    command.add_argument("--task", "-t")
    command.add_argument("--retry-id", "-r", type=int)
    command.set_defaults(func=events)
    command = actions.add_parser("restart")
    command.add_argument("workflow_id")
    command.add_argument("--pool", "-p")
    _with_format(command, restart)
    command = actions.add_parser("exec")
    command.add_argument("workflow_id")
    command.add_argument("task")
    command.add_argument("--entry", default="/bin/bash")
    command.set_defaults(func=execute)
    command = actions.add_parser("port-forward")
    command.add_argument("workflow_id")
    command.add_argument("task")
    command.add_argument("--port", required=True)
    command.set_defaults(func=port_forward)
    for direction in ("upload", "download"):
        sync = actions.choices.get("rsync") or actions.add_parser("rsync")
        directions = sync._subparsers._group_actions[0] if sync._subparsers else sync.add_subparsers(dest="direction")
        command = directions.add_parser(direction)
        command.add_argument("workflow_id")
        command.add_argument("task")
        command.add_argument("path")
        command.set_defaults(func=rsync)
    command = actions.add_parser("query")
    command.add_argument("workflow_id")
    command.add_argument("--verbose", "-v", action="store_true")
    _with_format(command, query)
    command = actions.add_parser("list")
    command.add_argument("--count", "-c", type=int, default=20)
    command.add_argument("--offset", "-f", type=int, default=0)
    command.add_argument("--name", "-n")
    command.add_argument("--order", "-o", choices=("asc", "desc"), default="asc")
    command.add_argument("--all-users", "-a", action="store_true")
    if release >= "6.4":
        command.add_argument("--label", action="append", dest="labels", default=[])
    _with_format(command, listing)
    command = actions.add_parser("cancel")
    command.add_argument("workflow_ids", nargs="+")
    command.add_argument("--force", "-f", action="store_true")
    command.add_argument("--message", "-m")
    _with_format(command, cancel)
    command = actions.add_parser("spec")
    command.add_argument("workflow_id")
    command.add_argument("--template", action="store_true")
    command.set_defaults(func=spec)


def _data(actions: Any) -> None:
    for name, local in (("upload", "+"), ("download", None), ("list", "?"), ("check", "")):
        command = actions.add_parser(name)
        command.add_argument("remote_uri", type=storage_uri)
        if local != "":
            command.add_argument("local_path", nargs=local)
        command.add_argument("--no-pager", action="store_true")
        command.add_argument("--prefix", "-p", default="")
        command.add_argument("--regex", "-x", default="")
        command.add_argument("--recursive", "-r", action="store_true")
        command.add_argument("--access-type", "-a", choices=("READ", "WRITE", "DELETE"))
        command.set_defaults(func=data)


def _dataset(actions: Any) -> None:
    for name in ("info", "upload", "tag"):
        command = actions.add_parser(name)
        command.add_argument("name")
        if name == "upload":
            command.add_argument("path", nargs="+")
        command.add_argument("--set", nargs="+", default=[])
        _with_format(command, dataset)


def _with_format(command: argparse.ArgumentParser, function: Any) -> None:
    command.add_argument("--format-type", "-t", choices=("json", "text"), default="text")
    command.set_defaults(func=function)


def storage_uri(text: str) -> str:
    if not text.startswith(("s3://", "gs://", "azure://", "swift://", "tos://")):
        raise argparse.ArgumentTypeError(f"Unknown URI scheme: {text}")
    return text
