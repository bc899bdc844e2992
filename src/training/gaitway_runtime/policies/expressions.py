"""Arithmetic of skrl's configuration, evaluated without running it: inputs such as ``0.5 * OBSERVATIONS[:, 2:]``."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

import torch

from ..spec.errors import UsageError
from .activations import ACTIVATIONS

_INPUTS = ("OBSERVATIONS", "STATES")
_OUTPUT = re.compile(r"(?:(?P<scale>\d+(?:\.\d*)?)\s*\*\s*)?(?:(?P<squash>\w+)\(\s*ACTIONS\s*\)|ACTIONS)")


@dataclass(frozen=True)
class Piece:
    """A slice of the observations times a factor: ``scale * OBSERVATIONS[:, start:stop]``."""

    start: int = 0
    stop: int | None = None
    """None for the end of the observations."""
    scale: float = 1.0


def input_pieces(expression: str, source: str) -> tuple[Piece, ...]:
    """Return the pieces that an input expression puts side by side.

    Args:
        expression: Text of ``network[].input``.
        source: Where it stands, for the error.

    Raises:
        UsageError: It does something else than slice, scale and concatenate observations.
    """
    try:
        return _pieces(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise UsageError(
            f"the policy's input expression is not supported: '{expression}'",
            source=source,
            allowed="OBSERVATIONS, 0.5 * OBSERVATIONS, OBSERVATIONS[:, 2:], concatenate([...]) of these",
        ) from None


def _pieces(node: ast.expr) -> tuple[Piece, ...]:
    if isinstance(node, ast.Name) and node.id in _INPUTS:
        return (Piece(),)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        return _scaled(node)
    if isinstance(node, ast.Subscript):
        return (_sliced(node),)
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("concatenate", "torch.cat", "torch.concatenate"):
        return _concatenated(node)
    raise ValueError(ast.dump(node))


def _scaled(node: ast.BinOp) -> tuple[Piece, ...]:
    if isinstance(node.op, ast.Div):
        pieces, factor = _pieces(node.left), 1.0 / _number(node.right)
    elif _is_number(node.left):
        pieces, factor = _pieces(node.right), _number(node.left)
    else:
        pieces, factor = _pieces(node.left), _number(node.right)
    return tuple(Piece(piece.start, piece.stop, piece.scale * factor) for piece in pieces)


def _sliced(node: ast.Subscript) -> Piece:
    index = node.slice
    if not (isinstance(node.value, ast.Name) and node.value.id in _INPUTS and isinstance(index, ast.Tuple)):
        raise ValueError
    rows, columns = index.elts
    whole = isinstance(rows, ast.Slice) and rows.lower is rows.upper is rows.step is None
    if not whole or not isinstance(columns, ast.Slice) or columns.step is not None:
        raise ValueError
    start = 0 if columns.lower is None else int(ast.literal_eval(columns.lower))
    stop = None if columns.upper is None else int(ast.literal_eval(columns.upper))
    if start < 0 or (stop is not None and stop <= start):
        raise ValueError
    return Piece(start, stop)


def _concatenated(node: ast.Call) -> tuple[Piece, ...]:
    parts = node.args[0]
    if not isinstance(parts, ast.List | ast.Tuple) or len(node.args) > 1:
        raise ValueError
    if any(keyword.arg != "dim" or _number(keyword.value) not in (1, -1) for keyword in node.keywords):
        raise ValueError
    return tuple(piece for part in parts.elts for piece in _pieces(part))


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant | ast.UnaryOp)


def _number(node: ast.expr) -> float:
    value = ast.literal_eval(node)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value:
        raise ValueError
    return float(value)


def selection(pieces: tuple[Piece, ...], inputs: int, known_width: int | None, source: str) -> torch.Tensor | None:
    """Return the matrix that takes observations to a network's inputs, (inputs, observations); None for no change.

    Args:
        pieces: What stands side by side.
        inputs: Width of the network's first layer.
        known_width: Length of the observation vector, where something tells it (a normaliser).
        source: Where the expression stands, for the error.

    Raises:
        UsageError: The length of the observations cannot be told, or the pieces do not fill the inputs.
    """
    if pieces == (Piece(),):
        return None
    width = known_width or _width(pieces, inputs)
    if width is None:
        raise UsageError(
            "the policy reads a part of its observations, and nothing tells how many there are",
            source=source,
            hint="give the task's contract, or describe the network in a network.yaml beside the checkpoint",
        )
    rows = [
        (column, piece.scale) for piece in pieces for column in range(*slice(piece.start, piece.stop).indices(width))
    ]
    if len(rows) != inputs or any(piece.stop is not None and piece.stop > width for piece in pieces):
        raise UsageError(
            f"the policy's input expression gives {len(rows)} values, its first layer takes {inputs}", source=source
        )
    matrix = torch.zeros(inputs, width)
    for row, (column, scale) in enumerate(rows):
        matrix[row, column] = scale
    return matrix


def _width(pieces: tuple[Piece, ...], inputs: int) -> int | None:
    """Return the length of the observations, where exactly one piece runs to their end."""
    open_ended = [piece for piece in pieces if piece.stop is None]
    if len(open_ended) != 1:
        return None
    bounded = sum(piece.stop - piece.start for piece in pieces if piece.stop is not None)
    return inputs - bounded + open_ended[0].start


def output_terms(expression: str, source: str) -> tuple[float, str | None]:
    """Return factor and squash of an output expression, ``2.0 * tanh(ACTIONS)``.

    Raises:
        UsageError: It is of another form.
    """
    found = _OUTPUT.fullmatch(expression.strip())
    squash = found["squash"] if found else None
    if found is None or (squash is not None and squash not in ACTIVATIONS):
        raise UsageError(
            f"the policy's output expression is not supported: '{expression}'",
            source=source,
            allowed="ACTIONS, tanh(ACTIONS), 2.0 * tanh(ACTIONS)",
        )
    return float(found["scale"] or 1.0), squash
