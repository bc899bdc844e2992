"""Opener of TorchScript files in the confined process.

Many recurrent exports keep their hidden state inside, for one robot: in buffers, or in plain attributes that hold
tensors or numbers. It is taken out and put back at each call, so that any number of robots can be asked, each from the
state of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..torchscript_code import attribute_names
from .loaded import Floats, Loaded, Run, check_answers, probes

_WIDTHS = 4
"""Widths of layers that are tried first as the input's, where a file does not say it."""
_WIDEST = 1024
"""Longest input that is then tried."""
_MEMORY = "let it begin with a tensor of zeros of the state's shape"


def load_torchscript(path: Path, torch: Any) -> Loaded:
    """Open a TorchScript file.

    Args:
        path: The file.
        torch: The library, imported before the process was confined.

    Raises:
        ValueError: It takes something else than a vector of observations, or its answers are of no use.
    """
    module = torch.jit.load(str(path), map_location="cpu").eval().float()
    states, start = _states_taken(module), _held(module, attribute_names(path), torch)
    _check_arguments(module, len(states))
    widths = list(dict.fromkeys(int(entry.shape[1]) for entry in module.parameters() if entry.dim() == 2))
    widths += [int(entry.shape[-1]) for entry in module.buffers() if entry.dim() in (1, 2)]
    likely, reason = list(dict.fromkeys(widths[:_WIDTHS])), "it has no layer that tells the length of its input"
    for width in (*likely, *range(2, _WIDEST + 1)):
        try:
            outputs = _call(module, torch, np.zeros((1, width), np.float32), states)[0]
        except RuntimeError as error:
            if width in likely:
                reason = _last_line(error)
            continue
        return _opened(module, torch, width, outputs.shape[1], states, start)
    raise ValueError(f"no length of its input was found: {reason}")


@dataclass(frozen=True)
class _Held:
    """What a module held in a buffer or a plain attribute when it was opened."""

    name: str
    value: Any
    """A tensor, a number, a tuple or list of tensors, or None."""

    def leaves(self, value: Any, torch: Any) -> list[Any]:
        """Return a value as tensors."""
        if isinstance(value, int | float):
            return [torch.tensor(float(value))]
        return [value] if isinstance(value, torch.Tensor) else list(value or ())

    def put(self, module: Any, leaves: list[Any]) -> None:
        """Let a module hold these tensors there, in the form of what it held first."""
        kind = type(self.value)
        one = kind(leaves[0].item()) if kind in (int, float, bool) else leaves[0]
        _put(module, self.name, kind(leaves) if kind in (tuple, list) else one)


def _held(module: Any, names: list[str], torch: Any) -> list[_Held]:
    """Return copies of a module's buffers, and of those of its plain attributes that may be a memory."""
    found = [_Held(name, value.clone()) for name, value in module.named_buffers()]
    for path, part in module.named_modules():
        declared = {name for name, _ in (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False))}
        for name in names:
            value = getattr(part, name) if part._c.hasattr(name) and name not in declared else ()
            place = f"{path}.{name}".lstrip(".")
            if isinstance(value, torch.Tensor):
                found.append(_Held(place, value.clone()))
            elif value is None or isinstance(value, int | float):
                found.append(_Held(place, value))
            elif value and isinstance(value, tuple | list) and all(isinstance(each, torch.Tensor) for each in value):
                found.append(_Held(place, type(value)(each.clone() for each in value)))
    return found


def _opened(module: Any, torch: Any, width: int, outputs: int, states: list[Floats], start: list[_Held]) -> Loaded:
    """Return a module whose input's length is known; ``start`` is what it held when it was opened."""
    kept = _memories(module, torch, width, states, start)
    if kept and states:
        raise ValueError("it keeps a hidden state inside beside the one that it takes")
    if not kept:
        run: Run = lambda rows, values: _call(module, torch, rows, values)  # noqa: E731
        check_answers(run, width, states)
        return Loaded(width, outputs, run, states, [1] * len(states))
    counts = [len(held.leaves(held.value, torch)) for held in kept]
    fresh = [np.array(leaf.numpy(), np.float32) for held in kept for leaf in held.leaves(held.value, torch)]

    def with_memory(rows: Floats, values: list[Floats]) -> tuple[Floats, list[Floats]]:
        rest = iter(values)
        for held, count in zip(kept, counts, strict=True):
            held.put(module, [torch.tensor(next(rest)) for _ in range(count)])
        found, _ = _call(module, torch, rows, [])
        after = [leaf for held in kept for leaf in held.leaves(_get(module, held.name), torch)]
        return found, [np.array(leaf.numpy(), np.float32) for leaf in after]

    check_answers(with_memory, width, fresh)
    axes = [1 if value.ndim == 3 else 0 for value in fresh]
    if all(value.shape[axis : axis + 1] == (1,) for value, axis in zip(fresh, axes, strict=True)):
        batched = _is_batched(with_memory, width, fresh, axes)
        return Loaded(width, outputs, with_memory, fresh, axes, batched=batched)
    # Numbers that are no robot's own, such as a count of steps: an axis is put before them.
    inner = with_memory

    def one_by_one(rows: Floats, values: list[Floats]) -> tuple[Floats, list[Floats]]:
        found, after = inner(rows, [value[0] for value in values])
        return found, [value[None] for value in after]

    return Loaded(width, outputs, one_by_one, [value[None] for value in fresh], [0] * len(fresh), batched=False)


def _call(module: Any, torch: Any, rows: Floats, values: list[Floats]) -> tuple[Floats, list[Floats]]:
    """Ask a module; what it answers beside the actions is taken for its hidden states."""
    with torch.inference_mode():
        found = module(torch.from_numpy(np.array(rows)), *(torch.from_numpy(value) for value in values))
    outputs, *after = found if isinstance(found, tuple) else (found,)
    return outputs.float().numpy().reshape(len(rows), -1), [value.numpy() for value in after[: len(values)]]


def _memories(module: Any, torch: Any, width: int, states: list[Floats], start: list[_Held]) -> list[_Held]:
    """Return what a call changes of what a module holds, which it holds again as it was.

    Raises:
        ValueError: It cannot be kept for each robot.
    """
    _call(module, torch, probes(width)[:1], states)
    changed = []
    for held in start:
        before, after = (held.leaves(value, torch) for value in (held.value, _get(module, held.name)))
        if [leaf.shape for leaf in before] != [leaf.shape for leaf in after]:
            raise ValueError(f"it keeps a hidden state inside that changes its shape, {held.name}: {_MEMORY}")
        if all(torch.equal(*pair) for pair in zip(before, after, strict=True)):
            continue
        if not all(leaf.is_floating_point() for leaf in before):
            raise ValueError(f"it keeps a hidden state inside that is no number of floating point: {held.name}")
        held.put(module, [leaf.clone() for leaf in before])
        changed.append(held)
    return changed


def _is_batched(run: Run, width: int, fresh: list[Floats], axes: list[int]) -> bool:
    """Whether several rows asked at once, with their states side by side, are answered as they are one by one."""
    rows = probes(width)
    many = [np.repeat(value, len(rows), axis=axis) for value, axis in zip(fresh, axes, strict=True)]
    try:
        together, after = run(rows, many)
    except RuntimeError:
        return False
    kept = all(value.shape == wide.shape for value, wide in zip(after, many, strict=True))
    apart = np.concatenate([run(row[None], fresh)[0] for row in rows])
    return kept and together.shape == apart.shape and np.allclose(together, apart, rtol=1e-3, atol=1e-4)


def _put(module: Any, name: str, value: Any) -> None:
    *path, leaf = name.split(".")
    for part in path:
        module = getattr(module, part)
    setattr(module, leaf, value)


def _get(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part)
    return module


def _states_taken(module: Any) -> list[Floats]:
    """Return each hidden state that a module takes beside observations, zeros for one row."""
    taken = len(module.forward.schema.arguments) - 2  # beside the module itself and the observations
    hidden = [entry.shape[1] for name, entry in module.named_parameters() if "weight_hh_l" in name]
    if taken < 1 or not hidden:
        return []
    return [np.zeros((len(hidden), 1, int(hidden[0])), np.float32)] * taken


def _check_arguments(module: Any, states: int) -> None:
    """Check that a module takes one vector of observations, and hidden states.

    Raises:
        ValueError: It takes something else.
    """
    taken = module.forward.schema.arguments[1:]
    needed = [argument for argument in taken if not argument.has_default_value()]
    if not taken or str(taken[0].type) != "Tensor":
        raise ValueError(f"it takes {taken[0].type if taken else 'nothing'}, not one vector of observations")
    if len(needed) > 1 + states:
        names = ", ".join(argument.name for argument in needed)
        raise ValueError(f"it takes {len(needed)} inputs ({names}): export it with one vector of observations")


def _last_line(error: RuntimeError) -> str:
    return str(error).strip().splitlines()[-1]
