"""``osmo workflow logs``, ``query``, ``list``, ``cancel``, ``spec`` and ``events``."""

from __future__ import annotations

import argparse
import http.client
import json
from collections.abc import Iterator

from service import Failure, Service


def logs(service: Service, args: argparse.Namespace) -> None:
    if (args.error or args.retry_id) and not args.task:
        raise Failure("Specify task for retry ID or error logs.", 2)
    params = {"last_n_lines": args.last} if args.last else {}
    if args.task:
        params["task_name"] = args.task
    if args.retry_id:
        params["retry_id"] = args.retry_id
    what = "error_logs" if args.error else "logs"
    answer = service.stream(f"api/workflow/{args.workflow_id}/{what}", params)
    print(f"Workflow {args.workflow_id} has {'error ' if args.error else ''}logs:", flush=True)
    try:
        for line in lines_of(answer):
            # The HTTP library of the real command takes a carriage return for the end of a line too.
            print("\n".join(line.decode().split("\r")), flush=True)
    except ConnectionError as error:
        raise Failure(f"Failed to fetch logs: {error}", 10) from None
    except (OSError, http.client.HTTPException):
        print("\nLog stream has timed out or failed. Please run the command again to continue viewing logs.")


def lines_of(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the lines of an answer as they come; unlike its own iterator, fail where the answer has no end."""
    rest = b""
    while chunk := answer.read1(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def query(service: Service, args: argparse.Namespace) -> None:
    result = service.request("GET", f"api/workflow/{args.workflow_id}")
    print(json.dumps(result, indent=2) if args.format_type == "json" else f"Status      : {result['status']}")


def listing(service: Service, args: argparse.Namespace) -> None:
    params = {"limit": args.count, "offset": args.offset, "order": "DESC", "all_pools": True}
    if args.name:
        params["name"] = args.name
    if getattr(args, "labels", None):
        params["label"] = args.labels
    rows = service.request("GET", "api/workflow", params=params)["workflows"]
    if args.order == "asc":
        rows.reverse()
    print(json.dumps({"workflows": rows}, indent=2) if args.format_type == "json" else f"{len(rows)} workflows")


def cancel(service: Service, args: argparse.Namespace) -> None:
    for workflow_id in args.workflow_ids:
        try:
            result = service.request("POST", f"api/workflow/{workflow_id}/cancel", params={"force": args.force})
        except Failure as problem:  # and exits with 0 all the same
            print(f"Workflow cancelation failed for workflow {workflow_id}: {problem}")
            continue
        text = f"Cancel job for workflow {result['name']} is submitted!"
        print(json.dumps(result, indent=2) if args.format_type == "json" else text)


def spec(service: Service, args: argparse.Namespace) -> None:
    data = service.request(
        "GET", f"api/workflow/{args.workflow_id}/spec", params={"use_template": args.template}, raw=True
    )
    print(data.decode())


def events(service: Service, args: argparse.Namespace) -> None:
    text = service.request("GET", f"api/workflow/{args.workflow_id}/events", raw=True).decode()
    print(f"Workflow {args.workflow_id} has events:\n{text}", end="")
