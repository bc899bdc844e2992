"""Policies of unknown conventions, made of a sample: the same network behind other inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from gaitway_runtime.exam.conventions import (
    ANG_VEL,
    COMMAND,
    EULER,
    GRAVITY,
    HEIGHT_SCAN,
    JOINT_POS,
    JOINT_VEL,
    LAST,
    LIN_VEL,
    ORIENTATION,
    ROLL_PITCH,
    Conventions,
    ExamTerm,
    size_of,
)
from gaitway_runtime.exam.subject import spec_of
from gaitway_runtime.policies.reader import read_checkpoint
from gaitway_runtime.tasks.environment import EnvCfg
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
ANYMAL, GO2 = SAMPLES / "anymal-c-flat" / "model_194.pt", SAMPLES / "go2-flat" / "model_139.pt"
FRAME = (3, 3, 3, 3, 12, 12, 12)
"""Sizes of the terms of the samples: three velocities, gravity, command, joints, their velocities, the last action."""
ISAAC = (LIN_VEL, ANG_VEL, GRAVITY, COMMAND, JOINT_POS, JOINT_VEL, LAST)
"""Terms of the samples in order."""
SHUFFLED = (7, 2, 10, 0, 5, 11, 3, 8, 1, 6, 9, 4)
"""Robot's joint of each action of a shuffled policy."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Stranger:
    """A policy: ``act`` gives its outputs, ``inputs`` is the length of its input."""

    act: Callable[[Floats], Floats]
    inputs: int
    outputs: int = 12

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Forget nothing: it has no state."""


@dataclass(frozen=True)
class Dressing:
    """What is different about a policy that stands before a sample's network."""

    joints: Sequence[int] = tuple(range(12))
    """Robot's joint of each action."""
    halved: bool = False
    """Whether outputs are half as large, so that the action scale is twice the sample's."""
    frames: int = 1
    per_term: bool = False


def as_trained(task: EnvCfg) -> Conventions:
    """Return the conventions that the samples were trained under."""
    spec = spec_of(task)
    return Conventions(
        terms=tuple(ExamTerm(quantity=quantity) for quantity in ISAAC),
        joints=tuple(range(len(spec.joint_names))),
        action_scale=tuple(task.action.scales),
        action_pose=spec.default_joint_pos,
        observed_pose=spec.default_joint_pos,
    )


def dressed(checkpoint: Path, dressing: Dressing) -> Stranger:
    """Return a sample's policy behind other conventions, as a function."""
    places, gains = _wiring(dressing)
    act = network_of(checkpoint)
    order, factor = np.array(dressing.joints), 0.5 if dressing.halved else 1.0
    return Stranger(lambda rows: act(rows[:, places] * gains)[:, order] * np.float32(factor), 48 * dressing.frames)


def under(checkpoint: Path, truth: Conventions, task: EnvCfg) -> Stranger:
    """Return a sample's policy as one that was trained under other conventions, as a function.

    A velocity of the world's frame needs an orientation among the terms, one of the heading's frame gravity or an
    orientation.
    """
    spec, act = spec_of(task), network_of(checkpoint)
    joints, own_scale = np.array(truth.joints), np.array(task.action.scales)
    default, scale = np.array(spec.default_joint_pos), np.array(truth.action_scale)
    shown = np.array(truth.action_pose)[joints]

    def answer(rows: Floats) -> Floats:
        found = _decoded(rows.astype(np.float64), truth, len(joints))
        frame = _upright(found)
        last = np.empty_like(found[LAST])
        last[:, joints] = (shown + scale * found[LAST] / truth.shown_scale - default[joints]) / own_scale[joints]
        parts = [
            _in_base(found, truth, LIN_VEL, frame),
            _in_base(found, truth, ANG_VEL, frame),
            -frame[:, 2, :],
            found[COMMAND],
            found[JOINT_POS] + np.array(truth.observed_pose) - default,
            found[JOINT_VEL],
            last,
            *([found[HEIGHT_SCAN]] if HEIGHT_SCAN in found else []),
        ]
        own = act(np.concatenate(parts, axis=1).astype(np.float32))
        target = default + own_scale * own
        outputs: Floats = ((target[:, joints] - shown) / scale).astype(np.float32)
        return outputs

    return Stranger(answer, truth.input_size, len(joints))


def _decoded(rows: NDArray[np.float64], truth: Conventions, count: int) -> dict[str, NDArray[np.float64]]:
    """Return the newest value of each quantity, what is about joints in the robot's order but for the last action."""
    found: dict[str, NDArray[np.float64]] = {}
    width = rows.shape[1] // truth.stacked
    start = 0 if truth.stacked_newest_first else (truth.stacked - 1) * width
    for term in truth.terms:
        size = size_of(term.quantity, count)
        newest = 0 if term.newest_first else term.frames - 1
        block = rows[:, start + newest * size : start + (newest + 1) * size]
        value = block / np.resize(np.array(term.scales), size)
        if term.quantity in (JOINT_POS, JOINT_VEL):
            ordered = np.empty_like(value)
            ordered[:, list(truth.joints)] = value
            value = ordered
        elif term.quantity == ORIENTATION and term.frame == "xyzw":
            value = value[:, [3, 0, 1, 2]]
        elif term.quantity == EULER and term.frame == "ypr":
            value = value[:, ::-1]
        elif term.quantity == HEIGHT_SCAN and term.frame == "y":
            value = value.reshape(-1, 17, 11).swapaxes(1, 2).reshape(len(value), -1)
        found[term.quantity] = value
        start += size * term.frames
    return found


def _upright(found: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the base's rotation in the world, (N, 3, 3), or where only gravity is seen in the heading's frame."""
    if EULER in found or ROLL_PITCH in found:
        tilt = found[EULER] if EULER in found else np.pad(found[ROLL_PITCH], ((0, 0), (0, 1)))
        (cr, cp, cy), (sr, sp, sy) = np.cos(tilt).T, np.sin(tilt).T
        turned = [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
        return np.moveaxis(np.array(turned), 2, 0)
    if ORIENTATION in found:
        w, x, y, z = found[ORIENTATION].T
        rows = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
        return np.moveaxis(np.array(rows), 2, 0)
    up = -found[GRAVITY]
    ahead = np.array([1.0, 0.0, 0.0]) - up * up[:, :1]  # the heading in the base's frame
    ahead = ahead / np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    return np.stack([ahead, np.cross(up, ahead), up], axis=1)


def _in_base(
    found: dict[str, NDArray[np.float64]], truth: Conventions, quantity: str, frame: NDArray[np.float64]
) -> NDArray[np.float64]:
    term = truth.term(quantity)
    if term is None:
        return np.zeros((len(frame), 3))
    return found[quantity] if term.frame == "base" else np.einsum("nji,nj->ni", frame, found[quantity])


def network_of(checkpoint: Path) -> Callable[[Floats], Floats]:
    """Return the network of a checkpoint as a function of numpy arrays."""
    import torch

    module = read_checkpoint(checkpoint).module

    def act(rows: Floats) -> Floats:
        with torch.inference_mode():
            found: Floats = module(torch.from_numpy(np.ascontiguousarray(rows, np.float32))).numpy()
        return found

    return act


def write_onnx(checkpoint: Path, dressing: Dressing, path: Path) -> Path:
    """Write the same policy as an ONNX file that says nothing of itself, for a batch of one."""
    policy = read_checkpoint(checkpoint)
    places, gains = _wiring(dressing)
    weights: dict[str, NDArray[np.generic]] = {"places": places, "gains": gains}
    nodes = [helper.make_node("Gather", ["obs", "places"], ["picked"], axis=1)]
    nodes.append(helper.make_node("Mul", ["picked", "gains"], ["frame"]))
    statistics = policy.parts.normalizer
    last = "frame"
    if statistics is not None:
        weights |= {"mean": statistics.mean.numpy(), "std": (statistics.std + statistics.eps).numpy()}
        nodes.append(helper.make_node("Sub", ["frame", "mean"], ["centred"]))
        nodes.append(helper.make_node("Div", ["centred", "std"], ["normal"]))
        last = "normal"
    for number, linear in enumerate(policy.parts.linears):
        assert linear.bias is not None
        weights |= {f"w{number}": linear.weight.numpy(), f"b{number}": linear.bias.numpy()}
        nodes.append(helper.make_node("Gemm", [last, f"w{number}", f"b{number}"], [f"h{number}"], transB=1))
        last = f"h{number}"
        if number < len(policy.parts.linears) - 1:
            nodes.append(helper.make_node("Elu", [last], [f"a{number}"]))
            last = f"a{number}"
    weights |= {"order": np.array(dressing.joints), "factor": np.array(0.5 if dressing.halved else 1.0, np.float32)}
    nodes.append(helper.make_node("Gather", [last, "order"], ["ordered"], axis=1))
    nodes.append(helper.make_node("Mul", ["ordered", "factor"], ["actions"]))
    save(nodes, weights, path, inputs=48 * dressing.frames, outputs=12)
    return path


def save(
    nodes: list[onnx.NodeProto], weights: dict[str, NDArray[np.generic]], path: Path, *, inputs: int, outputs: int
) -> None:
    """Write a graph from ``obs`` to ``actions``."""
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, [1, inputs])],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, [1, outputs])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def noise(inputs: int = 48) -> Stranger:
    """Return a random network."""
    rng = np.random.default_rng(0)
    layers = [rng.normal(size=size) / size[0] ** 0.5 for size in ((inputs, 64), (64, 64), (64, 12))]

    def act(rows: Floats) -> Floats:
        hidden = rows
        for layer in layers[:-1]:
            hidden = np.tanh(hidden @ layer)
        found: Floats = (hidden @ layers[-1]).astype(np.float32)
        return found

    return Stranger(act, inputs)


def _wiring(dressing: Dressing) -> tuple[NDArray[np.int64], Floats]:
    """Return where each input of the sample's network lies in the dressed one's, and the factor on it."""
    newest, places, start = dressing.frames - 1, [], 0
    back = np.argsort(np.array(dressing.joints))
    for size in FRAME:
        within = np.arange(size) if size == 3 else back
        if dressing.per_term:
            places.append(start * dressing.frames + newest * size + within)
        else:
            places.append(newest * 48 + start + within)
        start += size
    gains = np.ones(48, np.float32)
    gains[36:] = 2.0 if dressing.halved else 1.0
    return np.concatenate(places), gains
