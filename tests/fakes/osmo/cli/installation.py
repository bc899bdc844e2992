"""``osmo pool``, ``resource``, ``config``, ``profile``, ``credential`` and ``version``."""

from __future__ import annotations

import argparse
import json
from typing import Any

from service import Failure, Service


def resources(service: Service, args: argparse.Namespace) -> None:
    params = {"pools": args.pool or [service.request("GET", "api/profile/settings")["profile"]["pool"]]}
    print(json.dumps(service.request("GET", "api/resources", params=params), indent=2))


def config(service: Service, args: argparse.Namespace) -> None:
    print(json.dumps(service.request("GET", f"api/configs/{args.what.lower()}"), indent=2))


def profile(service: Service, args: argparse.Namespace) -> None:
    print(json.dumps(service.request("GET", "api/profile/settings"), indent=2))


def version(service: Service, args: argparse.Namespace) -> None:
    major, minor, revision = args.release.split(".")
    output: dict[str, Any] = {"client": {"major": major, "minor": minor, "revision": revision, "hash": ""}}
    try:
        output["service"] = service.request("GET", "api/version")
    except Failure as problem:
        if problem.rc == 2 and service.login is None:
            raise
    print(json.dumps(output, indent=2) if args.format_type == "json" else f"OSMO client version:  {args.release}")


def pools(service: Service, args: argparse.Namespace) -> None:
    params = {"pools": args.pool} if args.pool else None
    print(json.dumps(service.request("GET", "api/pool_quota", params=params), indent=2))


def credentials(service: Service, args: argparse.Namespace) -> None:
    print(json.dumps(service.request("GET", "api/credentials"), indent=2))
