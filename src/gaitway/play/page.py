"""Assembly of the drive page: one HTML file with the engine, the task's world, the policy and the scripts inside."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from importlib import resources
from pathlib import Path

import numpy as np
from gaitway_runtime.evaluation.drivable import World, describe
from gaitway_runtime.evaluation.drive_graph import Graph

from .. import __version__
from ..pages.assembly import assemble, inert_json, write_page

SCRIPTS = ("policy.js", "robot.js", "load.js", "renderer.js", "app.js")
FILMS = "videos/*_play/*.mp4"
"""Films beside a page, which it shows where a browser cannot draw."""
RAMPS = "Walls of its ground are ramps of 10 cm here; in the simulation that trains and judges they are vertical."
ENGINE = "MuJoCo 3.14.0 (WebAssembly, Apache-2.0)"


def write_drive_page(policy: Path, task: str, target: Path) -> Path:
    """Write the page in which a person drives a policy; return its path.

    Args:
        policy: An exported ``policy.onnx``, of whatever origin: it runs confined, and by its contract.
        task: Name of its task.
        target: The file to write.

    Raises:
        UsageError: The page cannot hold the task or the policy; the error says what.
        ConfigError: MuJoCo or ONNX is not installed, or the file cannot be written.
    """
    world, graph, heights = describe(task, policy)
    arrays = {"weights": _weights(graph)}
    if heights is not None:
        arrays["heights"] = np.asarray(heights, np.float32).tobytes()
    films = sorted(path.relative_to(target.parent).as_posix() for path in target.parent.glob(FILMS))
    return write_page(_page(world, graph, arrays, films), target)


def _page(world: World, graph: Graph, arrays: dict[str, bytes], films: list[str]) -> str:
    document = {**world, "graph": {**_layout(graph), "input": graph.input, "output": graph.output}}
    parts = {
        "engine-script": gzip.compress(_engine_script().encode(), 9, mtime=0),
        "engine-wasm": _asset("vendor", "mujoco.wasm.gz"),
        "world": gzip.compress(json.dumps(document, allow_nan=False).encode(), 9, mtime=0),
        **{name: gzip.compress(content, 9, mtime=0) for name, content in arrays.items()},
    }
    return assemble(
        _asset("web", "page.html").decode(),
        title=f"Drive {world['task']}",
        style=_asset("web", "style.css").decode(),
        about=html.escape(f"{ENGINE}, gaitway {__version__}. This file needs no network.{_ground(world)}"),
        films=inert_json(films),
        data="\n".join(
            f'<script type="text/plain" id="{name}">{base64.b64encode(content).decode()}</script>'
            for name, content in parts.items()
        ),
        script="\n".join(_asset("web", name).decode() for name in SCRIPTS),
    )


def _ground(world: World) -> str:
    """Return what the page's ground differs in, as a sentence; nothing where it differs in nothing."""
    ground = world["terrain"]
    return f" {RAMPS}" if ground and ground["walls"] else ""


def _layout(graph: Graph) -> dict[str, object]:
    """Return the operations, and where each constant lies among the weights."""
    places, start = {}, 0
    for name, tensor in graph.tensors.items():
        places[name] = (start, tensor.size)
        start += tensor.size
    return {"nodes": graph.nodes, "tensors": places}


def _weights(graph: Graph) -> bytes:
    return b"".join(tensor.astype("<f4").tobytes() for tensor in graph.tensors.values())


def _engine_script() -> str:
    """Return MuJoCo's loader as a plain script: a page from a file or a blob has no module address."""
    text = _asset("vendor", "mujoco.js").decode()
    text = text.replace("import.meta.url", '"file:///mujoco.js"')
    return re.sub(r"^export default loadMujoco;\s*$", "", text, flags=re.MULTILINE)


def _asset(folder: str, name: str) -> bytes:
    return resources.files("gaitway.play").joinpath(folder, name).read_bytes()
