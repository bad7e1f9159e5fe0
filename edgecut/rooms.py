"""The public functions, loaded on first use; some rooms have their names: edgecut.stem(model) calls a package."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
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

    The same object each time, which pickle finds as edgecut's own. Raises MissingRuntimeError for the package.
    """
    with _missing_named():
        function: Callable[..., object] = getattr(import_module(module), name)
    return _naming_missing(function)


@functools.cache
def _naming_missing(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        with _missing_named():
            return function(*args, **kwargs)

    call.__module__ = __name__.partition(".")[0]
    return call


@contextlib.contextmanager
def _missing_named() -> Iterator[None]:
    """A package that isn't here, as the error that says what brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        from edgecut.records.packages import missing  # only now: `import edgecut` costs nothing

        absent = missing(error.name)
        if absent is None:
            raise
        raise absent from error
