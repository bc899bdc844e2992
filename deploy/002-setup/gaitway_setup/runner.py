"""Runner of plans, which continues a plan that failed earlier."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

from gaitway.errors import ConfigError, PlatformError

from .actions import Action, Plan, fill, late_names

INSTALL: Mapping[str, str] = {
    "az": "https://learn.microsoft.com/cli/azure/install-azure-cli",
    "kubelogin": "az aks install-cli",
    "kubectl": "az aks install-cli",
    "helm": "https://helm.sh/docs/intro/install/",
    "osmo": "https://nvidia.github.io/OSMO/ (never pip install osmo: that is another project)",
}


class PlanRun:
    """One run of a plan, with the late values that it has made so far."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self._plan, self._say = plan, say
        self._values: dict[str, str] = {}

    def go(self, done: tuple[str, ...], note: Callable[[str], None]) -> None:
        """Run every action that is not done yet.

        Args:
            done: Keys of actions that an earlier run has completed.
            note: Called with the key of each action that completes.

        Raises:
            ConfigError: A program is missing; nothing has been run.
            PlatformError: A command failed.
        """
        _need(self._plan.programs)
        with ExitStack() as stack:
            for action in self._plan.actions:
                if action.key in done and not action.every_time:
                    self._say(f"done before: {action.says}")
                    continue
                if action.unless and self._call(self._with_values(action.unless), action).returncode == 0:
                    self._say(f"there already: {action.says}")
                else:
                    self._say(action.says)
                    self._run(action, stack)
                note(action.key)

    def _run(self, action: Action, stack: ExitStack) -> None:
        argv = self._with_values(action.argv)
        if action.background:
            stack.enter_context(_in_background(argv, _environ(action), action))
            return
        answer = self._call(argv, action, self._filled(action.feed))
        if answer.returncode != 0:
            raise _failed(action, answer.returncode, answer.stderr or answer.stdout)
        if action.keeps:
            self._values[action.keeps] = _kept(action, answer.stdout)

    def _call(self, argv: list[str], action: Action, feed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, input=feed, env=_environ(action), capture_output=True, text=True, errors="replace", check=False
        )

    def _with_values(self, argv: tuple[str, ...]) -> list[str]:
        return [self._filled(word) for word in argv]

    def _filled(self, text: str) -> str:
        """Insert the late values that a text names; each is made when it is first needed."""
        wanted = late_names(text)
        for name in wanted & self._plan.late.keys() - self._values.keys():
            self._values[name] = self._plan.late[name]()
        if unknown := wanted - self._values.keys():
            raise PlatformError(
                f"{', '.join(sorted(unknown))} is not known in this run",
                hint="--again starts the step from its beginning",
            )
        return fill(text, self._values)


def _need(programs: tuple[str, ...]) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed",
            hint="; ".join(f"{program}: {INSTALL.get(program, 'install it')}" for program in missing),
        )


def _environ(action: Action) -> dict[str, str]:
    return {**os.environ, **dict(action.environ)}


def _kept(action: Action, text: str) -> str:
    try:
        kept = str(json.loads(text)[action.field]) if action.field else text.strip()
    except (ValueError, LookupError, TypeError):
        kept = ""
    if not kept:
        raise PlatformError(f"{action.argv[0]} gave no usable answer: {action.says}", hint="run the same command again")
    return kept


@contextlib.contextmanager
def _in_background(argv: list[str], environ: Mapping[str, str], action: Action) -> Iterator[None]:
    """Run a command in the background, from its first line of output until the others are done."""
    process = subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        if not process.stdout.readline():
            raise _failed(action, process.wait(), process.stderr.read())
        yield
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def _failed(action: Action, code: int, text: str) -> PlatformError:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return PlatformError(
        f"this failed: {action.says}",
        source=f"{' '.join(action.argv[:3])} ended with {code}: {lines[-1].strip() if lines else 'no output'}",
        hint="when that is solved, run the same command again: it continues from here",
    )
