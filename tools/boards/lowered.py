"""The graph of a net that the data file may not have: built in Keras and lowered, which imports TensorFlow."""

from __future__ import annotations

from edgecut.graph.quiet import import_keras_quietly
from edgecut.tflite.flatbuffer import TfliteGraph
from tools.boards.families import FLOAT, built, parsed


def lowered(key: str) -> TfliteGraph:
    """The graph of a net, int8 or float32, before any conversion. Raises ValueError for a net that can't be built."""
    import_keras_quietly()
    from edgecut.graph.callgraph import flat
    from edgecut.graph.calls import calls
    from edgecut.graph.live import layer_calls
    from edgecut.lowering.lower import lowering

    try:
        graph = calls(built(parsed(key.removeprefix(FLOAT))))
    except KeyError as exc:
        raise ValueError(f"net {key!r}: {exc.args[0]!r} is no net of its family here") from exc
    return lowering(layer_calls(graph), "float32" if key.startswith(FLOAT) else "int8")(*flat(graph.outputs))
