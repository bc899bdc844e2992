"""torch's compiler, imported once something is compiled.

Importing ``torch._dynamo`` takes as long as importing torch. tensordict and torch's optimisers do so to tell it how
their functions are to be compiled, whether anything is or not. :func:`put_off` puts a module in its place that notes
what it is told. Whoever wants anything else of it gets the compiler itself, which is then told the same.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any

import torch

COMPILER = "torch._dynamo"


def put_off() -> None:
    """Put off the import of torch's compiler until something is compiled; do nothing where it is imported already."""
    if COMPILER not in sys.modules and (spec := importlib.util.find_spec(COMPILER)):
        stand_in = LateCompiler(spec)
        sys.meta_path.insert(0, _Finder(stand_in))
        sys.modules[COMPILER] = stand_in
        torch._dynamo = stand_in


class LateCompiler(ModuleType):
    """Stands in for the compiler as long as nothing is compiled.

    Args:
        spec: Where the compiler is.
    """

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(COMPILER)
        self.__spec__, self.__file__ = spec, spec.origin  # whoever looks through all modules asks for them
        self.__path__: list[str] = []
        self._told: list[tuple[str, Callable[..., Any]]] = []
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        """Return what the compiler itself has under a name that is not here."""
        return getattr(self.give_way(), name)

    def give_way(self) -> ModuleType:
        """Import the compiler in place of this module, tell it what this one was told, and return it.

        Whoever holds this module still may go on using it.
        """
        with self._lock:
            told, self._told = self._told, []
            if sys.modules.get(COMPILER) is self:
                del sys.modules[COMPILER]
        # Without the lock: the import system's own order threads, and must be able to see who waits for whom.
        compiler = importlib.import_module(COMPILER)
        for name, function in told:
            getattr(compiler, name)(function)
        return compiler

    def allow_in_graph(self, function: Any) -> Any:
        """Note a function that is compiled into a graph as it is."""
        return self._note("allow_in_graph", function)

    def assume_constant_result(self, function: Any) -> Any:
        """Note a function that is called once, when it is compiled."""
        return self._note("assume_constant_result", function)

    def disable(self, function: Any = None, *arguments: Any, **options: Any) -> Any:
        """Return a function that is not compiled: as it is, until there is a compiler to leave it out."""
        if not isinstance(function, FunctionType):
            return self.give_way().disable(function, *arguments, **options)
        plain: Callable[..., Any] = function

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal plain
            if plain is function and sys.modules.get(COMPILER) is not self:
                plain = self.give_way().disable(function, *arguments, **options)
            return plain(*args, **kwargs)

        return call

    def graph_break(self, *_: Any, **__: Any) -> None:
        """End a graph: there is none."""

    def _note(self, name: str, function: Any) -> Any:
        if not callable(function):
            return getattr(self.give_way(), name)(function)
        with self._lock:
            self._told.append((name, function))
        return function


class _Finder(MetaPathFinder):
    """Finds the modules below a compiler that was put off: the compiler is imported first, and has most of them.

    Args:
        stand_in: What stands in its place.
    """

    def __init__(self, stand_in: LateCompiler) -> None:
        self._stand_in = stand_in

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return a spec of such a module while the stand-in is in place; see :class:`importlib.abc.MetaPathFinder`."""
        if not name.startswith(f"{COMPILER}.") or sys.modules.get(COMPILER) is not self._stand_in:
            return None
        self._stand_in.give_way()
        return ModuleSpec(name, _Imported(importlib.import_module(name)))


class _Imported(Loader):
    """Loader of a module that is imported already.

    Args:
        module: The module.
    """

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module; see :class:`importlib.abc.Loader`."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing but let the module have its own spec again."""
        module.__spec__ = self._spec
