"""Profiler that ``follow_a_job.py`` starts in each process of a training."""

from __future__ import annotations

import inspect
import json
import os
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType

PACKAGES = ("gaitway", "gaitway_runtime")
_ran: set[str] = set()
_written: set[str] = set()
_importing = threading.local()


def _profile(frame: FrameType, event: str, _: object) -> None:
    if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") != "__main__":
        _importing.depth = max(0, getattr(_importing, "depth", 0) + (event == "call") - (event == "return"))
    if event != "call" or getattr(_importing, "depth", 0):
        return
    code, name = frame.f_code, frame.f_globals.get("__name__", "")
    name = "gaitway_runtime.__main__" if name == "__main__" and "gaitway_runtime" in code.co_filename else name
    if name.split(".")[0] not in PACKAGES or not _is_function(code):
        return
    _ran.add(name)
    if code.co_name == "step" and name.startswith("gaitway_runtime.simulators."):
        _write("job")


def _is_function(code: CodeType) -> bool:
    """Whether this is a function somebody wrote: no body of a module or class, nothing that a dataclass generated."""
    return bool(code.co_flags & inspect.CO_OPTIMIZED) and not code.co_filename.startswith("<")


def _audit(event: str, args: tuple[object, ...]) -> None:
    if event == "subprocess.Popen" and "--job" in list(args[1]):  # type: ignore[call-overload]
        _write("client")


def _write(process: str) -> None:
    if process in _written:
        return
    _written.add(process)
    imported = [name for name in list(sys.modules) if name.split(".")[0] in PACKAGES]
    document = {"ran": sorted(_ran), "imported": sorted(imported)}
    Path(os.environ["GAITWAY_FOLLOW"], f"{process}.json").write_text(json.dumps(document))


if "GAITWAY_FOLLOW" in os.environ:
    sys.addaudithook(_audit)
    threading.setprofile(_profile)
    sys.setprofile(_profile)
