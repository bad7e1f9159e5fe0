"""The calls of the Keras model that an .onnx file becomes, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgecut.errors import MissingRuntimeError
from edgecut.graph.dataflow import Dataflow
from edgecut.graph.flow_json import from_json
from edgecut.graph.layer_call import UnsaidError
from edgecut.records.recipe import Source
from edgecut.sandbox.child import ChildDied, run_job
from edgecut.sandbox.limits import read_limits

WORKER = "edgecut.source.onnx.calls_worker"
NOT_PROVEN = "the import isn't proven on inputs here; `edgecut import`, a cut and a build do it"
_JOBS = 4  # of the limit's time: the file is run inside, twice at most, in a child of its own


@dataclass(frozen=True)
class OnnxCalls:
    """nodes: for each layer the file's nodes that it stands for. notes: what the import says."""

    flow: Dataflow
    nodes: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]


def read_calls(source: Source) -> OnnxCalls:
    """The calls of the model that source/load.py makes of an .onnx file, by the same rules, its numbers not proven.

    Raises UnsaidError where TensorFlow alone tells them, in words that end a sentence, or without any where the import
    refuses the file.
    """
    path = Path(source.model)
    seconds = _JOBS * read_limits().seconds
    shape = source.shape if source.shape is None or isinstance(source.shape, Mapping) else list(source.shape)
    job = {"path": source.model, "seconds": seconds, "shape": shape, "dequantize": source.dequantize}
    try:
        answer = run_job(WORKER, job, seconds, path.stat().st_size if path.is_file() else 0)
    except ChildDied as exc:
        raise UnsaidError(str(exc)) from exc
    except MissingRuntimeError as exc:
        raise UnsaidError from exc  # the import says it, too
    if not answer["flow"]:
        raise UnsaidError(answer["unsaid"])
    nodes = {name: tuple(names) for name, names in answer["nodes"].items()}
    return OnnxCalls(from_json(answer["flow"]), nodes, tuple(answer["notes"]))
