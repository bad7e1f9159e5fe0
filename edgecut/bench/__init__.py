"""Numbers: measured, simulated or estimated, never without saying which."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """This package, which can be called: `edgecut.bench(path)` is measure.bench.

    Once a module of it is imported, the name `edgecut.bench` is the package, not the public function any
    more.
    """

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """What edgecut.bench.measure.bench says of a file."""
        from edgecut.bench.measure import bench

        return bench(*arguments, **options)


sys.modules[__name__].__class__ = _Room
