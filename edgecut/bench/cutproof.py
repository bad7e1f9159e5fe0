"""A .tflite or .onnx file cut, and the proof that the written part computes what the whole file does there."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecut.errors import RequestError, RunError
from edgecut.export import onnx_cut
from edgecut.records.artifact import TensorSpec
from edgecut.records.facts import StepFacts
from edgecut.records.proof import OutputProof
from edgecut.records.report import Step
from edgecut.runtime.session import Kernels, Session
from edgecut.runtime.specs import file_format, read_graph, tensor_specs
from edgecut.sandbox.limits import check_array
from edgecut.sandbox.wire import numpy_dtype
from edgecut.tflite import cut as tflite_cut
from edgecut.tflite.flatbuffer import TfliteGraph, read, read_content
from edgecut.tflite.reach import short_names
from edgecut.whole import naming

if TYPE_CHECKING:
    from onnx import ModelProto

INPUTS = 8
OPEN_SIZE = 96  # what an open size is tried at

# ONNX Runtime's fusions depend on what is around a node; a tensor may then differ in the last bits.
FUSION_TOLERANCE = 1e-4

Refs = Sequence[str | int]
Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], list[np.ndarray]]


def cut_file(path: str | Path, to: str | int | Refs | None, start: str | int | Refs | None, out: str | Path) -> Step:
    """Write the part of a .tflite or .onnx file between tensors to `out`, and prove it; without TensorFlow.

    to, start: tensor names or operator positions as in `edgecut inspect`, one or several; None or () is the file's own
    outputs or inputs. The result's before and after have inputs, outputs, operators, macs and size_bytes; its proof is
    of the written file, read back and run on what the whole file computes at `start` for 8 seeded inputs. `out` is
    written whole or not at all.
    Raises SourceError, GraphError or RequestError for what can't be cut, RunError if the runtime can't run it or the
    part isn't bit-equal.
    """
    began, source, target = time.perf_counter(), Path(path), Path(out)
    kind = file_format(source)
    if target.suffix.lower() != source.suffix.lower():
        imported = " (or *.keras, for a part of the model that it is imported as)" if kind == "onnx" else ""
        said = f"the part of a {kind} file is one, too; name it *{source.suffix.lower()}{imported}"
        raise RequestError(f"{target}: {said}")
    content = read_content(source)
    read_graph(source)
    onnx_part = functools.partial(onnx_cut.cut_onnx, where=str(source))
    cut, prove = (tflite_cut.cut_tflite, _prove_tflite) if kind == "tflite" else (onnx_part, _prove_onnx)
    partial = target.with_name(f"{target.stem}.partial{target.suffix}")
    try:
        part = cut(content, _refs(to), _refs(start))
        with naming(target):
            partial.write_bytes(part)
        proof, notes = prove(source, partial, _refs(to), _refs(start))
        if not proof.exact:
            raise RunError(
                f"{target}: differs from {source} by up to {proof.max_abs_error:.3g} on {INPUTS} inputs, and should "
                "be equal; nothing was written"
            )
        before, after = _facts(source), _facts(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return Step(
        name="cut",
        changed=before != after,
        before=before,
        after=after,
        proof=proof,
        notes=notes,
        seconds=time.perf_counter() - began,
    )


def seeded(specs: Sequence[TensorSpec], random: np.random.Generator) -> dict[str, np.ndarray]:
    """An array for each input: floats in -1..1, 8 and 16 bit integers over their range, others 0 or 1."""
    arrays = {}
    for spec in specs:
        shape = tuple((1 if axis == 0 else OPEN_SIZE) if size < 0 else size for axis, size in enumerate(spec.shape))
        check_array(f"cut: the input {spec.name!r}", shape)
        try:
            dtype = numpy_dtype(spec.dtype)
        except ValueError as exc:
            raise RunError(f"cut: the input {spec.name!r}: {exc}, so the part can't be proven; cut behind it") from exc
        if dtype.kind == "f":
            arrays[spec.name] = random.uniform(-1, 1, shape).astype(dtype)
        elif dtype.kind in "iu" and dtype.itemsize <= 2:
            limits = np.iinfo(dtype)
            arrays[spec.name] = random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        else:
            arrays[spec.name] = random.integers(0, 2, shape).astype(dtype)
    return arrays


def _refs(refs: str | int | Refs | None) -> tuple[str | int, ...]:
    if refs is None:
        return ()
    return (refs,) if isinstance(refs, str | int) else tuple(refs)


def _facts(path: Path) -> StepFacts:
    """What a file takes, puts out, holds and costs, read from it."""
    from edgecut.tflite.ops import macs

    graph = read_graph(path)
    inputs, outputs = tensor_specs(graph)
    short = short_names(spec.name for spec in (*inputs, *outputs))
    return StepFacts(
        inputs={short[spec.name]: tuple(spec.shape) for spec in inputs},
        outputs={short[spec.name]: tuple(spec.shape) for spec in outputs},
        operators=len(graph.operators) if isinstance(graph, TfliteGraph) else len(graph.nodes),
        macs=macs(graph) if isinstance(graph, TfliteGraph) else graph.macs,
        size_bytes=path.stat().st_size,
    )


def _compare(
    specs: Sequence[TensorSpec],
    source: Callable[[Arrays], tuple[list[np.ndarray], list[np.ndarray]]],
    part: Callable[[list[np.ndarray]], list[np.ndarray]],
) -> OutputProof:
    """`part` on what `source` computes at the start, against its ends.

    source: inputs -> (the values that feed the part, the values that it should put out).
    """
    random, error, exact = np.random.default_rng(0), 0.0, True
    for _ in range(INPUTS):
        fed, expected = source(seeded(specs, random))
        for a, b in zip(part(fed), expected, strict=True):
            exact = exact and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
            if a.shape == b.shape and a.size:
                error = max(error, float(np.max(np.abs(a.astype("float64") - b.astype("float64")))))
    return OutputProof(inputs=INPUTS, max_abs_error=error, exact=exact)


def _prove_tflite(path: Path, part: Path, to: Refs, start: Refs) -> tuple[OutputProof, tuple[str, ...]]:
    graph = read(path)
    chosen, ends = tflite_cut.select(graph, to, start)
    specs, _ = tensor_specs(graph)
    # A delegate computes the tensors between its ends without keeping them.
    whole = Session(path, "tflite", f"cut: {path}", kernels="plain", whole=True)
    piece = Session(part, "tflite", "cut: the part", kernels="plain")
    interior = [i for i in dict.fromkeys((*chosen.entries, *ends)) if i not in graph.inputs]

    def source(x: Arrays) -> tuple[list[np.ndarray], list[np.ndarray]]:
        fed = dict(zip(graph.inputs, x.values(), strict=True))
        values = fed | dict(zip(interior, whole.run(fed, interior), strict=True))
        return [values[i] for i in chosen.entries], [values[i] for i in ends]

    def run(values: list[np.ndarray]) -> list[np.ndarray]:
        return piece.run(dict(zip(piece.inputs, values, strict=True)), piece.outputs)

    where = "LiteRT, built-in kernels without a delegate"
    return _compare(specs, source, run).model_copy(update={"where": where}), ()


def _prove_onnx(path: Path, part: Path, to: Refs, start: Refs) -> tuple[OutputProof, tuple[str, ...]]:
    model = onnx_cut.whole_model(read_content(path), str(path))
    chosen, ends = onnx_cut.select(model, to, start)
    known = onnx_cut.value_types(model)
    own = {value.name for value in (*model.graph.input, *model.graph.output)}
    interior = [name for name in dict.fromkeys((*chosen.entries, *ends)) if name not in own]
    notes = (*_activation_notes(model, ends), *_layout_notes(model, part, interior))
    model.graph.output.extend(known[name] for name in interior)
    specs, _ = tensor_specs(read_graph(path))
    plain, fused = (
        _compare(specs, *_onnx_pair(model.SerializeToString(), part.read_bytes(), chosen.entries, ends, fuse=fuse))
        for fuse in (False, True)
    )
    if fused.max_abs_error > FUSION_TOLERANCE:
        notes = (
            *notes,
            (
                "with ONNX Runtime's default fusions the part differs from the file by up to "
                f"{fused.max_abs_error:.2g}; PadFusion is known to fold a zero Pad wrongly into MaxPool: run both "
                'with disabled_optimizers=["PadFusion"]'
            ),
        )
    more = {"where": "ONNX Runtime without fusions", "max_abs_error_with_fusions": fused.max_abs_error}
    return plain.model_copy(update=more), notes


def _onnx_pair(
    whole: bytes, part: bytes, entries: Sequence[str], ends: Sequence[str], *, fuse: bool
) -> tuple[
    Callable[[Arrays], tuple[list[np.ndarray], list[np.ndarray]]], Callable[[list[np.ndarray]], list[np.ndarray]]
]:
    kernels: Kernels = "default" if fuse else "plain"
    first = Session(whole, "onnx", "cut: the file", kernels=kernels)
    second = Session(part, "onnx", "cut: the part", kernels=kernels)
    needed = list(dict.fromkeys((*entries, *ends)))

    def source(x: Arrays) -> tuple[list[np.ndarray], list[np.ndarray]]:
        computed = [name for name in needed if name not in x]
        values = {**x, **dict(zip(computed, first.run(dict(x), computed), strict=True))}
        return [values[name] for name in entries], [values[name] for name in ends]

    def run(values: list[np.ndarray]) -> list[np.ndarray]:
        return second.run(dict(zip(entries, values, strict=True)), list(ends))

    return source, run


def _layout_notes(model: ModelProto, part: Path, interior: Sequence[str]) -> tuple[str, ...]:
    """A note for each new input or output that is an image, since channels come first inside an ONNX graph."""
    shapes = {spec.name: spec.shape for side in tensor_specs(read_graph(part)) for spec in side}
    images = [n for n in onnx_cut.image_tensors(model, interior) if len(shapes[n]) == 4]
    short = short_names(shapes)
    return tuple(
        f"{short[name]!r} is inside the ONNX graph, where images are (batch, channels, height, width): "
        f"{'x'.join('?' if size < 0 else str(size) for size in shapes[name])}"
        for name in images
    )


def _activation_notes(model: ModelProto, ends: Sequence[str]) -> tuple[str, ...]:
    behind = {name: onnx_cut.activation_behind(model, name) for name in ends}
    short = short_names(ends)
    return tuple(
        f"{short[name]!r} is the value before its activation, which is {after!r} in this file; end there to keep it"
        for name, after in behind.items()
        if after is not None
    )
