"""A real browser without a window, spoken to over a pipe (Chrome DevTools Protocol)."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-pipe",
)


def executable() -> str:
    """Return a browser of this machine; without one the test is skipped."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    pytest.skip(f"no browser is installed: none of {', '.join(NAMES)}")


class Page:
    """One page of a browser.

    Attributes:
        problems: Errors on its console and exceptions of its scripts.
        requests: Addresses that it asked for.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._commands, self._answers = commands, answers
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, address: str) -> None:
        """Go to an address."""
        self._call("Page.navigate", url=address)

    def resize(self, width: int, height: int) -> None:
        """Give the page a size [px]."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def go_offline(self) -> None:
        """Take the network away."""
        nothing = {"latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self._call("Network.emulateNetworkConditions", offline=True, **nothing)

    def run_first(self, script: str) -> None:
        """Run a script in every page before its own."""
        self._call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def evaluate(self, expression: str) -> Any:
        """Return what an expression of the page comes to; a promise is waited for."""
        found = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true, at most a minute."""
        waiting = f"""new Promise((done, fail) => {{
          const began = Date.now();
          const look = () => {{
            let found = false;
            try {{ found = {expression}; }} catch (error) {{}}
            if (found) return done(true);
            if (Date.now() - began > 60000) return fail(new Error("it did not become true"));
            setTimeout(look, 20);
          }};
          look();
        }})"""
        self.evaluate(waiting)

    def press(self, code: str, key: str) -> None:
        """Press a key and let it go."""
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, code=code, key=key)

    def screenshot(self, path: Path) -> None:
        """Write what the page shows as a PNG file."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot")["data"]))

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self._note(answer.get("method", ""), answer.get("params", {}))

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            found = os.read(self._answers, 1 << 20)
            assert found, "the browser has ended"
            self._rest += found
        message, self._rest = self._rest.split(b"\0", 1)
        return dict(json.loads(message))

    def _note(self, event: str, params: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            self.problems.append(str(params["exceptionDetails"]))
        if event == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.problems.append(str(params["args"]))
        if event == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(str(params["entry"]["text"]))
        if event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])


@contextmanager
def open_page() -> Iterator[Page]:
    """Start a browser and yield its page."""
    program = executable()
    here_read, here_write = os.pipe()  # commands
    there_read, there_write = os.pipe()  # answers
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        shell = f'exec "$0" "$@" 3<&{here_read} 4>&{there_write}'
        browser = subprocess.Popen(
            ["bash", "-c", shell, program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(here_read, there_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(here_read)
        os.close(there_write)
        try:
            yield Page(here_write, there_read)
        finally:
            browser.terminate()
            browser.wait()
            os.close(here_write)
            os.close(there_read)
