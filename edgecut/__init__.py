"""edgecut: cut a pretrained Keras model, fit it to a device, and prove it.

The public names are loaded on first use, so that `import edgecut` alone costs nothing.
"""

from __future__ import annotations

import os

from edgecut.version import __version__

# The module `typing` would take longer than everything that a program does before it answers Ctrl-C.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from edgecut.bench.measure import bench as bench
    from edgecut.compress.run import compress as compress
    from edgecut.export.artifacts import export as export
    from edgecut.graph.calls import calls as calls
    from edgecut.graph.cuts import cut_points as cut_points
    from edgecut.graph.edits import cut as cut
    from edgecut.head.attach import attach_head as attach_head
    from edgecut.pipeline.run import build as build
    from edgecut.search.run import search as search
    from edgecut.source.load import load as load
    from edgecut.stem.edit import stem as stem

# From 1.29 on, ONNX Runtime tells Microsoft of each session: file and graph names, hashes of weights, times. It reads
# this when it is loaded, here and in child processes; whoever wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# TensorFlow reads this once, when it is first imported: its start-up chatter is not a user's concern.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_HOMES = {
    "load": "edgecut.source.load",
    "calls": "edgecut.graph.calls",
    "cut_points": "edgecut.graph.cuts",
    "cut": "edgecut.graph.edits",
    "attach_head": "edgecut.head.attach",
    "build": "edgecut.pipeline.run",
}
# These are packages, too, and can be called (edgecut/rooms.py).
_CALLABLE_ROOMS = ("stem", "compress", "export", "bench", "search")

__all__ = ["__version__", *_HOMES, *_CALLABLE_ROOMS]


if not TYPE_CHECKING:  # a type checker knows the names from above, and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from edgecut.rooms import public

            return public(_HOMES[name], name)
        if name in _CALLABLE_ROOMS:
            from importlib import import_module

            return import_module(f"edgecut.{name}")
        raise AttributeError(f"module 'edgecut' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
