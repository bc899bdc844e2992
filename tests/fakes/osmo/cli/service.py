"""Requests of the stand-in ``osmo`` command to the service of its login, and the failures that it prints.

The command is started a thousand times in a run of the tests: what takes long to import is imported where it is used.
"""

from __future__ import annotations

import http.client
import json
import os
import site
import sys
import urllib.parse
from pathlib import Path
from typing import Any, NoReturn


def load_yaml(text: str) -> Any:
    yaml = _yaml()
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def dump_yaml(document: Any) -> str:
    yaml = _yaml()
    return str(yaml.dump(document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))


def _yaml() -> Any:
    site.main()  # the command is started without installed packages
    import yaml

    return yaml


READ_TIMEOUT_S = float(os.environ.get("STAND_IN_READ_TIMEOUT_S", "60"))
"""Time that the command waits for an answer [s]; only its tests wait for less."""


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
            lines = Path(folder, "login.yaml").read_text().splitlines()
            self.login = dict(line.split(": ", 1) for line in lines)
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
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        try:
            # Streams are waited for without end, everything else as long as the real command waits.
            limit = None if method == "GET" and path.endswith("/logs") else READ_TIMEOUT_S
            line = http.client.HTTPConnection(urllib.parse.urlsplit(self.login["url"]).netloc, timeout=limit)
            line.request(method, f"/{urllib.parse.quote(path)}{query}", data, {"Connection": "close"})
            answer = line.getresponse()
        except TimeoutError as error:
            told = f"HTTPConnectionPool(host='osmo', port=80): Read timed out. (read timeout={READ_TIMEOUT_S:g})"
            raise Failure(f"\nCannot connect to OSMO service, with error:\n{told}\n", 10) from error
        except OSError as error:
            raise Failure(f"\nCannot connect to OSMO service, with error:\n{error}\n", 10) from None
        if answer.status >= 400:
            self._refused(answer.status, answer.read().decode())
        return answer

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
