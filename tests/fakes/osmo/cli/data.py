"""``osmo data`` and ``osmo dataset``."""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path

from service import Failure, Service


def data(service: Service, args: argparse.Namespace) -> None:
    uri = args.remote_uri
    match args.action:
        case "upload":
            for name in args.local_path:
                path = Path(name)
                if not path.exists():
                    raise Failure(f"Path does not exist: {name}.", 2)
                files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
                for item in files:
                    key = item.relative_to(path.parent).as_posix()
                    service.request("PUT", f"objects/{uri.rstrip('/')}/{key}", body=item.read_bytes())
        case "list":
            params = {"list": True, "prefix": args.prefix, "recursive": args.recursive}
            keys = service.request("GET", f"objects/{uri}", params=params)["keys"]
            print("".join(f"{key}\n" for key in keys) + f"\nTotal {len(keys)} objects found")
        case "download":
            download(service, uri, Path(args.local_path), args.regex)
        case "check":
            try:
                service.request("GET", f"objects/{uri}", params={"keys": True})
                print(json.dumps({"status": "pass"}))
            except Failure as problem:
                print(json.dumps({"status": "fail", "error": str(problem)}))


def download(service: Service, uri: str, into: Path, regex: str) -> None:
    base = "/".join(uri.split("/")[:3])
    prefix = uri[len(base) + 1 :].rstrip("/")
    for key in service.request("GET", f"objects/{uri}", params={"keys": True})["keys"]:
        name = os.path.relpath(key, prefix) if prefix else key
        if key == prefix:
            name = Path(key).name
        if regex and not re.match(regex, name):
            continue
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(service.request("GET", f"objects/{base}/{key}", raw=True))


def dataset(service: Service, args: argparse.Namespace) -> None:
    name, _, tag = args.name.partition(":")
    bucket, _, rest = name.rpartition("/")
    base = f"api/bucket/{bucket or 'training'}/dataset/{rest}"
    match args.action:
        case "info":
            print(json.dumps(service.request("GET", f"{base}/info", params={"tag": tag}), indent=2))
        case "upload":
            for path in args.path:
                put_dataset(service, name, Path(path))
        case "tag":
            service.request("POST", f"{base}/attribute", params={"tag": tag, "set_tag": args.set})


def put_dataset(service: Service, name: str, path: Path) -> None:
    bucket, _, rest = name.rpartition("/")
    base = f"api/bucket/{bucket or 'training'}/dataset/{rest}"
    version = service.request("POST", base)["version_id"]
    files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    for item in files:
        relative = item.relative_to(path.parent).as_posix()
        service.request("PUT", f"{base}/{version}/{relative}", body=item.read_bytes())
    service.request("POST", f"{base}/{version}/finish")
