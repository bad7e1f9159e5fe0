"""edgecut: cut a pretrained Keras model, fit it to a device, and prove it.

The public names are loaded on first use, so that `import edgecut` alone costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "load": "edgecut.graph.source",
    "calls": "edgecut.graph.calls",
    "cut_points": "edgecut.graph.cuts",
    "cut": "edgecut.graph.edits",
    "stem": "edgecut.stem.edit",
    "attach_head": "edgecut.head.attach",
    "export": "edgecut.export.artifacts",
    "bench": "edgecut.bench.measure",
    "build": "edgecut.pipeline",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edgecut' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
