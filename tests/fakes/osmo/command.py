"""The ``osmo`` command: what it prints, how it exits, and where its flags bite.

Run as ``python command.py RELEASE ARGUMENTS...``; it reads the service's address from ``login.yaml`` like the real one.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

import yaml


def load_yaml(text: str) -> Any:
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def dump_yaml(document: Any) -> str:
    return str(yaml.dump(document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))


class Failure(Exception):
    """A failure that the edge prints; ``rc`` is the exit code."""

    def __init__(self, message: str, rc: int, code: int = 1) -> None:
        super().__init__(message)
        self.rc, self.code = rc, code


class Service:
    """Requests to the service of the current login."""

    def __init__(self) -> None:
        folder = os.environ.get("OSMO_CONFIG_FILE_DIR") or os.path.expanduser("~/.config/osmo")
        try:
            self.login = load_yaml(Path(folder, "login.yaml").read_text())
        except OSError:
            self.login = None

    def request(self, method: str, path: str, *, params: Any = None, body: Any = None, raw: bool = False) -> Any:
        if self.login is None:
            raise Failure('Must login first with "login" command', 2)
        if "token_login" in self.login:
            self._refresh()
        with self._open(method, path, params, body) as answer:
            data = answer.read()
        return data if raw else json.loads(data)

    def stream(self, path: str, params: Any) -> Any:
        if self.login is None:
            raise Failure('Must login first with "login" command', 2)
        return self._open("GET", path, params, None)

    def _refresh(self) -> None:
        try:
            self._open("POST", "api/auth/jwt/access_token", None, {"token": "refresh"}).close()
        except Failure as problem:
            if problem.code != 401:
                raise
            text = f'Unable to refresh login token (status code 401): {problem}\nPlease re-login with "osmo login"'
            raise Failure(text, 10) from None

    def _open(self, method: str, path: str, params: Any, body: Any) -> Any:
        query = "?" + urllib.parse.urlencode(params, doseq=True) if params else ""
        url = f"{self.login['url']}/{urllib.parse.quote(path)}{query}"
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        try:
            return urllib.request.urlopen(urllib.request.Request(url, data, method=method))
        except urllib.error.HTTPError as error:
            self._refused(error.code, error.read().decode())
        except OSError as error:
            raise Failure(f"\nCannot connect to OSMO service, with error:\n{error}\n", 10) from None

    def _refused(self, status: int, text: str) -> NoReturn:
        print(f"Server responded with status code {status}", file=sys.stderr)
        if status >= 500:
            raise Failure(f"Status Code: {status}\nHeader:\nBody:\n{text}", 10, status)
        try:
            payload = json.loads(text)
        except ValueError:
            payload = {"message": text}
        message = payload.get("message", text)
        kind = payload.get("error_code")
        if kind in ("USAGE", "RESOURCE", "CREDENTIAL"):
            raise Failure(f"Workflow {payload.get('workflow_id') or ''} submit failed:\n{message}", 1, status)
        raise Failure(message, 75 if status == 429 else 2, status)


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
    templated = any(mark in text for mark in ("{%", "{{", "{#", "default-values"))
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


def put_dataset(service: Service, name: str, path: Path) -> None:
    bucket, _, rest = name.rpartition("/")
    base = f"api/bucket/{bucket or 'training'}/dataset/{rest}"
    version = service.request("POST", base)["version_id"]
    files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    for item in files:
        relative = item.relative_to(path.parent).as_posix()
        service.request("PUT", f"{base}/{version}/{relative}", body=item.read_bytes())
    service.request("POST", f"{base}/{version}/finish")


def logs(service: Service, args: argparse.Namespace) -> None:
    params = {"last_n_lines": args.last} if args.last else {}
    if args.task:
        params["task_name"] = args.task
    answer = service.stream(f"api/workflow/{args.workflow_id}/logs", params)
    print(f"Workflow {args.workflow_id} has logs:", flush=True)
    try:
        for line in answer:
            print(line.decode().rstrip("\n"), flush=True)
    except (OSError, http.client.HTTPException):
        print("\nLog stream has timed out or failed. Please run the command again to continue viewing logs.")


def query(service: Service, args: argparse.Namespace) -> None:
    result = service.request("GET", f"api/workflow/{args.workflow_id}")
    print(json.dumps(result, indent=2) if args.format_type == "json" else f"Status      : {result['status']}")


def listing(service: Service, args: argparse.Namespace) -> None:
    params = {"limit": args.count, "offset": args.offset, "order": "DESC", "all_pools": True}
    if args.name:
        params["name"] = args.name
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
            keys = service.request("GET", f"objects/{uri}", params={"list": True})["keys"]
            print("\n".join(keys) + f"\n\nTotal {len(keys)} objects found")
        case "download":
            download(service, uri, Path(args.local_path))
        case "check":
            try:
                service.request("GET", f"objects/{uri}", params={"list": True})
                print(json.dumps({"status": "pass"}))
            except Failure as problem:
                print(json.dumps({"status": "fail", "error": str(problem)}))


def download(service: Service, uri: str, into: Path) -> None:
    base = "/".join(uri.split("/")[:3])
    prefix = uri[len(base) + 1 :].rstrip("/")
    for key in service.request("GET", f"objects/{uri}", params={"list": True})["keys"]:
        target = into / (os.path.relpath(key, prefix) if prefix else key)
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
    if release >= "6.4":
        command.add_argument("--label", action="append", dest="labels", default=[])
    command = actions.add_parser("logs")
    command.add_argument("workflow_id")
    command.add_argument("--task", "-t")
    command.add_argument("-n", dest="last", type=int)
    command.set_defaults(func=logs)
    command = actions.add_parser("query")
    command.add_argument("workflow_id")
    command.add_argument("--verbose", "-v", action="store_true")
    _with_format(command, query)
    command = actions.add_parser("list")
    command.add_argument("--count", "-c", type=int, default=20)
    command.add_argument("--offset", "-f", type=int, default=0)
    command.add_argument("--name", "-n")
    command.add_argument("--order", "-o", choices=("asc", "desc"), default="asc")
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


def main() -> int:
    release, *words = sys.argv[1:]
    args = parser(release).parse_args(words)
    args.release = release
    try:
        args.func(Service(), args)
    except Failure as problem:
        if getattr(args, "format_type", "text") == "json":
            print(json.dumps({"message": str(problem), "code": problem.code}, indent=2))
        else:
            print("Error message:", problem)
            print("Error code:", problem.code)
        return problem.rc
    except KeyboardInterrupt:
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
