"""A task as Kubernetes would run it: files mounted at their paths, inputs and outputs in place, limits enforced.

Where the machine allows user namespaces the command sees a root of its own, so that ``/osmo``, ``/workspace``,
``/data`` and ``/tmp`` are the task's alone. Elsewhere those prefixes are replaced in arguments and environment.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SECRET_LIMIT = 1_048_576
"""Bytes of one mounted file, decoded: what the Kubernetes API takes in one Secret."""

STRING_LIMIT = 131_072
"""Bytes of one argument or ``NAME=value`` string with its end: Linux's MAX_ARG_STRLEN."""

CGROUP = "/sys/fs/cgroup"
"""Where a container finds its memory and its limit."""

OWN_FOLDERS = ("osmo", "workspace", "data", "tmp")
"""Folders at the root that belong to the pod."""


@dataclass
class Pod:
    """One attempt at one task."""

    name: str
    command: list[str]
    environment: dict[str, str]
    files: Mapping[str, bytes]
    """Mounted files by absolute path."""
    root: Path
    """The pod's own file system."""
    image_environment: Mapping[str, str] = field(default_factory=dict)
    login: Mapping[str, str] = field(default_factory=dict)
    """Files of the mounted ``osmo`` command, by path below ``/osmo``; its configuration among them."""
    memory: int = 8 * 2**30
    """Limit of the container's memory [bytes]."""
    process: subprocess.Popen[bytes] | None = None
    killed: bool = False
    again: bool = False
    """Whether the command is to be started once more in this pod."""

    @property
    def output(self) -> Path:
        return self.root / "osmo/data/output"

    def input(self, index: int) -> Path:
        return self.root / "osmo/data/input" / str(index)

    def prepare(self) -> None:
        for folder in (*OWN_FOLDERS, "osmo/data/input", "osmo/data/output", "osmo/run/workspace"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        for name, text in self.login.items():
            target = self.root / "osmo" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            target.chmod(0o755)
        (self.root / "cgroup").mkdir(exist_ok=True)
        (self.root / "cgroup/memory.max").write_text(f"{self.memory}\n")
        (self.root / "cgroup/memory.stat").write_text("inactive_file 0\n")
        self.use_memory(0.1)
        for path, content in self.files.items():
            target = self.root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(0o444)

    def use_memory(self, share: float) -> None:
        """Let the container use a share of its memory, as the kernel tells it."""
        (self.root / "cgroup/memory.current").write_text(f"{int(share * self.memory)}\n")

    def too_long(self) -> str | None:
        """Return what Linux would refuse to pass to the command."""
        strings = [*self.command, *(f"{name}={value}" for name, value in self.environment.items())]
        longest = max(strings, key=lambda text: len(text.encode()))
        if len(longest.encode()) + 1 > STRING_LIMIT:
            return f"fork/exec {self.command[0]}: argument list too long"
        return None

    def run(self, log: Callable[[str], None]) -> int:
        """Run the command to its end and return its exit code; its output goes to ``log`` line by line."""
        environment = {
            "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/osmo/usr/bin",
            "OSMO_CONFIG_FILE_DIR": "/osmo/login/config",
            "HOME": "/tmp",
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.image_environment,
            **self.environment,
        }
        if namespaces():
            arguments, environment, folder = self._isolated(), environment, Path("/")
        else:
            arguments, environment, folder = *self._substituted(environment), self.root
        self.process = subprocess.Popen(
            arguments,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if self.killed:
            self.kill()
        assert self.process.stdout
        for line in self.process.stdout:
            # Where prefixes were replaced on the way in, they are put back on the way out.
            text = line.decode(errors="replace").removesuffix("\n").removesuffix("\r")
            log(text.replace(str(self.root), ""))
        code = self.process.wait()
        return code if code >= 0 else 128 - code

    def start_again(self) -> None:
        """Kill the command's process group, and nothing else in the pod, to start it once more."""
        self.again = True
        self._signal(signal.SIGKILL)

    def stop(self, grace: float = 20.0) -> None:
        """End the pod as Azure ML's end: SIGTERM, then SIGKILL after the grace period [s]."""
        if self.process is None:
            self.killed = True
            return
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the pod as OSMO's pods end: its first process ends at once, everything else gets SIGKILL."""
        self.killed = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def _isolated(self) -> list[str]:
        """Return a command that builds the pod's root in namespaces of its own and changes into it."""
        root = shlex.quote(str(self.root))
        steps = ["set -e"]
        for entry in sorted(os.listdir("/")):
            if entry in OWN_FOLDERS:
                continue
            source, target = f"/{entry}", f"{root}/{shlex.quote(entry)}"
            if os.path.islink(source):
                steps.append(f"ln -sfn {shlex.quote(os.readlink(source))} {target}")
            elif os.path.isdir(source):
                steps.append(f"mkdir -p {target}; mount --rbind {shlex.quote(source)} {target}")
        if os.path.isdir(CGROUP):
            steps.append(f"mount --bind {root}/cgroup {root}{CGROUP}")
        hidden = {prefix for prefix in (sys.prefix, sys.base_prefix) if prefix.split("/")[1] in OWN_FOLDERS}
        steps += [f"mkdir -p {root}{prefix}; mount --bind {prefix} {root}{prefix}" for prefix in sorted(hidden)]
        steps.append(f"exec chroot {root} {shlex.join(self.command)}")
        return ["unshare", "--user", "--map-root-user", "--mount", "/bin/sh", "-c", "\n".join(steps)]

    def execute(self, command: str) -> tuple[int, str]:
        """Run another command in the pod, as ``osmo workflow exec`` does, and return its exit code and output."""
        other = Pod(self.name, shlex.split(command), self.environment, {}, self.root, self.image_environment)
        lines: list[str] = []
        code = other.run(lines.append)
        return code, "".join(f"{line}\n" for line in lines)

    def _substituted(self, environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        keep = {"PATH", "PYTHON"}
        found = {name: value if name in keep else self._own(value) for name, value in environment.items()}
        found["PATH"] = found["PATH"].replace(":/osmo/", f":{self.root}/osmo/")
        return [self._own(word) for word in self.command], found

    def _own(self, text: str) -> str:
        return re.sub(rf"(?<![\w./-])/({'|'.join(OWN_FOLDERS)})(?=/|$)", rf"{self.root}/\1", text)


@functools.cache
def namespaces() -> bool:
    """Whether this machine lets us build a root of our own."""
    probe = ["unshare", "--user", "--map-root-user", "--mount", "/bin/sh", "-c", "mount --rbind /proc /proc"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def decoded(contents: str, encoded: bool) -> bytes:
    """Return a mounted file's bytes; raises ``ValueError`` where the mount would fail."""
    return base64.b64decode(contents, validate=False) if encoded else contents.encode()
