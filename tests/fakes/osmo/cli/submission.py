"""``osmo workflow submit``, ``validate`` and ``restart``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from data import put_dataset
from service import Failure, Service, dump_yaml, load_yaml


def submit(service: Service, args: argparse.Namespace) -> None:
    pool = args.pool or service.request("GET", "api/profile/settings")["profile"]["pool"]
    try:
        text = Path(args.workflow_file).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise Failure(str(error), 1) from None
    payload = {"file": text, "set_variables": args.set, "set_string_variables": args.set_string}
    params: dict[str, Any] = {"priority": args.priority} if args.priority else {}
    if getattr(args, "labels", None):
        params["label"] = args.labels
    block = "{%" if args.release >= "6.4" else "{%%"  # sic
    templated = any(mark in text for mark in (block, "{{", "{#", "default-values"))
    if templated or args.dry:
        result = service.request("POST", f"api/pool/{pool}/workflow", params={**params, "dry_run": True}, body=payload)
        if args.dry:
            print(result["spec"])
            return
        payload["uploaded_templated_spec"] = text
        document = load_yaml(result["spec"])
    else:
        document = load_yaml(text)
    load_local(service, Path(args.workflow_file).absolute().parent, document, upload=args.action == "submit")
    payload["file"] = dump_yaml(document)
    if args.action == "validate":
        done = {**params, "validation_only": True, "dry_run": False}
        print(service.request("POST", f"api/pool/{pool}/workflow", params=done, body=payload)["logs"])
        return
    if args.set_env:
        params["env_vars"] = args.set_env
    result = service.request("POST", f"api/pool/{pool}/workflow", params={**params, "dry_run": False}, body=payload)
    if args.format_type == "json":
        print(json.dumps(result, indent=2))
    else:
        print("Workflow submit successful.")
        print(f"Workflow ID        - {result['name']}")
        print(f"Workflow Overview  - {result['overview']}")


def load_local(service: Service, folder: Path, document: Any, *, upload: bool) -> None:
    """Put local files into the document and local datasets onto the server."""
    workflow = document["workflow"]
    tasks = [*workflow.get("tasks", []), *(task for group in workflow.get("groups", []) for task in group["tasks"])]
    for task in tasks:
        for entry in task.get("files") or []:
            if "localpath" in entry:
                path = folder / entry.pop("localpath")
                if not path.exists():
                    raise Failure(f"The file/path {path} does not exist!", 1)
                try:
                    entry["contents"] = path.read_text(encoding="utf-8")
                except UnicodeDecodeError as error:
                    raise Failure(str(error), 2) from None
        for item in task.get("inputs") or []:
            dataset = item.get("dataset", {})
            if "localpath" in dataset:
                path = folder / dataset.pop("localpath")
                if not path.exists():
                    raise Failure(f"The localpath {path} does not exist!", 1)
                if upload:
                    put_dataset(service, dataset["name"], path)


def restart(service: Service, args: argparse.Namespace) -> None:
    pool = args.pool
    if not pool and args.release >= "6.4":
        pool = service.request("GET", f"api/workflow/{args.workflow_id}")["pool"]
    elif not pool:  # earlier releases ask for the workflow and then take the user's default pool all the same
        pool = service.request("GET", "api/profile/settings")["profile"]["pool"]
    result = service.request("POST", f"api/pool/{pool}/workflow/{args.workflow_id}/restart")
    if args.format_type == "json":
        print(json.dumps(result, indent=2))
    else:
        print(f"Workflow {args.workflow_id} restarted.\nWorkflow ID        - {result['name']}")
