"""Rooms that share their name with a public function: edgecut.stem is a package, and edgecut.stem(model) a call."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

HOMES = {
    "stem": "edgecut.stem.edit",
    "export": "edgecut.export.artifacts",
    "bench": "edgecut.bench.measure",
    "search": "edgecut.search.run",
    "compress": "edgecut.compress.run",
}


class CallableRoom(ModuleType):
    """A package that can be called as the public function of its name, which is loaded on the first call."""

    @property
    def function(self) -> Callable[..., object]:
        """The public function."""
        name = self.__name__.rpartition(".")[2]
        function: Callable[..., object] = getattr(import_module(HOMES[name]), name)
        return function

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.function)

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call the function."""
        return self.function(*args, **kwargs)


def make_callable(module: str) -> None:
    """Let the package of that name, which is being imported, be called."""
    sys.modules[module].__class__ = CallableRoom
