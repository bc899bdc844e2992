"""``osmo workflow exec``, ``port-forward`` and ``rsync``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from service import Failure, Service


def execute(service: Service, args: argparse.Namespace) -> None:
    path = f"api/workflow/{args.workflow_id}/exec/task/{args.task}"
    answer = service.request("POST", path, params={"entry_command": args.entry})
    if not sys.stdin.isatty():  # it asks its terminal for the size, and sets it to raw
        raise Failure("[Errno 25] Inappropriate ioctl for device", 2)
    print(answer["output"], end="")


def port_forward(service: Service, args: argparse.Namespace) -> None:
    local, _, remote = args.port.partition(":")
    path = f"api/workflow/{args.workflow_id}/portforward/{args.task}"
    service.request("POST", path, params={"task_ports": [remote or local]})
    print(f"Starting port forwarding from {args.workflow_id}/{args.task} to {local}.", flush=True)


def rsync(service: Service, args: argparse.Namespace) -> None:
    first, _, second = args.path.partition(":")
    base = f"api/workflow/{args.workflow_id}/rsync/{args.task}"
    if args.direction == "upload":
        source = Path(first)
        files = [source] if source.is_file() else sorted(item for item in source.rglob("*") if item.is_file())
        for item in files:
            # As rsync does: a folder goes below its name unless a slash ends it.
            below = item.relative_to(source if first.endswith("/") and source.is_dir() else source.parent)
            service.request("PUT", f"{base}{second.rstrip('/')}/{below}", body=item.read_bytes())
        return
    answer = service.request("GET", f"{base}{first}", raw=True)
    target = Path(second) / Path(first).name
    try:
        names = json.loads(answer)["names"]
    except (ValueError, KeyError, TypeError):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(answer)
        return
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(service.request("GET", f"{base}{first.rstrip('/')}/{name}", raw=True))
