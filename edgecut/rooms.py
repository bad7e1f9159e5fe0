"""The public functions, loaded on first use; some rooms have their names: edgecut.stem(model) calls a package."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

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
        return public(HOMES[name], name)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.function)

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call the function."""
        return self.function(*args, **kwargs)


def make_callable(module: str) -> None:
    """Let the package of that name, which is being imported, be called."""
    sys.modules[module].__class__ = CallableRoom


def public(module: str, name: str) -> Callable[..., object]:
    """A function of edgecut's that says what brings a package that isn't here, when it is loaded and when it is called.

    Raises MissingRuntimeError for it.
    """
    function: Callable[..., object] = _told(lambda: getattr(import_module(module), name))()
    return _told(function)


def _told(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        try:
            return function(*args, **kwargs)
        except ModuleNotFoundError as error:
            from edgecut.records.packages import missing  # only now: `import edgecut` costs nothing

            absent = missing(error.name)
            if absent is None:
                raise
            raise absent from error

    return call
