"""The ranges of a float .tflite file's tensors over calibration samples, as its own operators put them out.

TensorFlow's calibrator (tensorflow/lite/tools/optimize/calibration/calibrator.cc) looks at an operator's inputs once
more behind it. LiteRT computes sums and products in the memory of an input that nobody reads later, so that what a
residual sum takes gets the range of the sum, too: up to 2.2 times its own in MobileNetV2, 65 times in a scaling with an
offset, 800,000 times in ConvNeXt, which scales by 1e-6 before. It also passes over values that aren't finite. Here each
tensor has memory of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecut.errors import ExportError, RunError
from edgecut.runtime.session import Kernels, Session
from edgecut.runtime.worker import Key
from edgecut.tflite.cut import cut_tensors
from edgecut.tflite.flatbuffer import TfliteGraph, parse
from edgecut.tflite.kinds import STATEFUL
from edgecut.tflite.layers import called
from edgecut.tflite.patch import Range, patched

_MESSAGE_BYTES = 1 << 23
_LARGEST = np.finfo(np.float32).max  # sums and products of LiteRT's own kernels give it, or its negative, for inf


def with_ranges(content: bytes, samples: Mapping[str, np.ndarray]) -> bytes:
    """The float file with the ranges over all samples on what its operators take and put out.

    content: a float file whose tensors have ranges already, which are written over in place. samples: arrays
    (n, 1, ...) by the names of the file's signature, in its dtypes.
    Raises ExportError for a value that isn't finite, RunError if LiteRT can't run the file.
    """
    graph = parse(content, "model")
    tensors = _ranged(content, graph)
    extremes = _extremes(content, tensors, samples)
    _check_finite(graph, tensors, extremes)
    least, largest = extremes[..., 0].min(axis=0), extremes[..., 1].max(axis=0)
    bounds = zip(tensors, least, largest, strict=True)
    return patched(content, {}, {}, {index: Range(float(low), float(high)) for index, low, high in bounds})


def check_samples(samples: np.ndarray) -> None:
    """Nothing for calibration samples (n, ...) that are finite. Raises ExportError for the first that isn't."""
    for place, sample in enumerate(samples):
        wrong = sample[~np.isfinite(sample)]
        if wrong.size:
            raise _holds(f"calibration sample {place + 1} of {len(samples)}", wrong.flat[0])


def keeps_state(content: bytes) -> bool:
    """Whether a file has tensors that no run leaves to be read: an LSTM's own, variables, those of other subgraphs."""
    graph = parse(content, "model")
    subgraph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    inner = any(subgraph.Operators(k).IntermediatesLength() for k in range(subgraph.OperatorsLength()))
    variable = any(tensor.is_variable for tensor in graph.tensors) or {op.name for op in graph.operators} & STATEFUL
    return inner or graph.subgraphs != 1 or bool(variable)


def _ranged(content: bytes, graph: TfliteGraph) -> list[int]:
    """The tensors of a file that have a range, and that a run leaves to be read."""
    subgraph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    put_out = [*graph.inputs, *(index for operator in graph.operators for index in operator.outputs)]
    tables = {index: subgraph.Tensors(index).Quantization() for index in put_out if index >= 0}
    return [index for index, table in tables.items() if table is not None and table.MinLength()]


def _extremes(content: bytes, tensors: list[int], samples: Mapping[str, np.ndarray]) -> np.ndarray:
    """The least and the largest element of tensors for each sample, (n, tensors, 2)."""
    if keeps_state(content):
        return _run(content, samples, "plain", tensors)
    # As outputs: XNNPACK, which takes a third of the time of LiteRT's own kernels, gives no tensor inside of it.
    part = cut_tensors(content, tensors)
    try:
        return _run(part, samples, "default")
    except RunError:
        return _run(part, samples, "plain")  # a file that XNNPACK alone can't run


def _run(content: bytes, samples: Mapping[str, np.ndarray], kernels: Kernels, keys: Sequence[Key] = ()) -> np.ndarray:
    """The extremes of some tensors of a file, or of its outputs."""
    session = Session(content, "tflite", "export: calibration", kernels=kernels, whole=bool(keys))
    signature = schema.Model.GetRootAs(content, 0).SignatureDefs(0)
    maps = [signature.Inputs(k) for k in range(signature.InputsLength())]
    feeds = {entry.TensorIndex(): samples[entry.Name().decode()] for entry in maps}
    count = len(next(iter(samples.values())))
    step = max(1, _MESSAGE_BYTES * count // max(1, sum(x.nbytes for x in feeds.values())))
    parts = [
        session.extremes({index: x[first : first + step] for index, x in feeds.items()}, keys or session.outputs)
        for first in range(0, count, step)
    ]
    return np.concatenate(parts)


def _check_finite(graph: TfliteGraph, tensors: list[int], extremes: np.ndarray) -> None:
    """Raise ExportError for the first sample with a value that isn't finite, and the operator that it comes from."""
    wrong = ~(np.abs(extremes) < _LARGEST)
    if not wrong.any():
        return
    sample, place, end = np.argwhere(wrong)[0]
    value = extremes[sample, place, end]
    told = f"calibration sample {sample + 1} of {len(extremes)}"
    if tensors[place] in graph.inputs:
        raise _holds(told, value)
    operator = next(operator for operator in graph.operators if tensors[place] in operator.outputs)
    raise ExportError(
        f"export: {called(graph, operator)} puts out {value} for {told}, which has no place in a range; cut before it, "
        "or leave the sample out"
    )


def _holds(told: str, value: np.generic) -> ExportError:
    return ExportError(f"export: {told} holds {value}, which has no place in a range; leave it out, or mend it")
