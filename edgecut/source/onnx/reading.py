"""An .onnx file, with what it keeps in other files, as one model; what can't be read is refused with all its faults."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecut.errors import RunError, SourceError
from edgecut.runtime.onnx_graph import other_kind, parse_onnx
from edgecut.runtime.onnx_native import Refused, passed
from edgecut.tflite.flatbuffer import read_content

if TYPE_CHECKING:
    import onnx

OWN_DOMAINS = frozenset({"", "ai.onnx"})
_NAME = "\0"
OLDEST_OPSET = 7  # before it, elementwise operators say which axis they broadcast along


@dataclass(frozen=True)
class OnnxFile:
    """A file that was read. model: whole, without local functions. size_bytes: of all its files."""

    path: Path
    model: onnx.ModelProto
    size_bytes: int

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators."""
        return max((o.version for o in self.model.opset_import if o.domain in OWN_DOMAINS), default=0)

    @property
    def producer(self) -> str:
        """The exporter as the file names it, such as "pytorch 2.4.0"; "" where it doesn't."""
        return " ".join(f"{self.model.producer_name} {self.model.producer_version}".split())


def read_file(path: str | Path) -> OnnxFile:
    """The whole model in an .onnx file. Raises SourceError for one that is missing, foreign, damaged or not whole."""
    import onnx

    file = Path(path)
    content = read_content(file)
    model = parse_onnx(content, str(file))
    size_bytes = len(content)
    del content
    if faults := list(_faults(model, file)):
        raise SourceError(f"{file}: {'; '.join(faults)}")
    external = {str(_location(tensor)) for tensor in _tensors(model) if _is_external(tensor)}
    if external:
        onnx.external_data_helper.load_external_data_for_model(model, str(file.parent.absolute()))
        size_bytes += sum((file.parent / name).stat().st_size for name in external)
    return OnnxFile(file, _inlined(model, file), size_bytes)


def _inlined(model: onnx.ModelProto, file: Path) -> onnx.ModelProto:
    """The model with its local functions, and the branches that are sure to be taken, in place."""
    if not model.functions and all(node.op_type != "If" for node in model.graph.node):
        return model
    try:
        return passed("inline", model, str(file))
    except RunError as exc:
        raise SourceError(str(exc)) from exc
    except Refused as exc:
        raise SourceError(f"{file}: is a damaged .onnx file ({exc}); get it again") from exc


def external_files(path: str | Path) -> tuple[str, ...]:
    """The names of the other files that an .onnx file keeps weights in, beside it; none for one that can't be read."""
    try:
        model = parse_onnx(read_content(Path(path)), str(path))
    except SourceError:
        return ()
    return tuple(dict.fromkeys(_location(tensor) for tensor in _tensors(model) if _is_external(tensor)))


def _faults(model: onnx.ModelProto, file: Path) -> Iterator[str]:
    """What stands in the way of reading a model, one clause each."""
    from onnx.defs import onnx_opset_version

    for side, values in (("takes", model.graph.input), ("puts out", model.graph.output)):
        for value in values:
            if kind := other_kind(value):
                yield f"{side} {value.name!r}, {kind}, where tensors are expected"
    opset = max((o.version for o in model.opset_import if o.domain in OWN_DOMAINS), default=0)
    if opset < OLDEST_OPSET:
        yield f"is of opset {opset}, and {OLDEST_OPSET} or later is expected; export it with a later opset"
    if opset > (newest := onnx_opset_version()):
        yield f"is of opset {opset}, and {newest} is the newest that is known; export it with an earlier opset"
    yield from _input_faults(model.graph)
    yield from _wiring_faults(model.graph)
    by_sentence: dict[str, list[str]] = {}
    for tensor in _tensors(model):
        for sentence in _tensor_faults(tensor, file):
            by_sentence.setdefault(sentence, []).append(tensor.name)
    for sentence, names in by_sentence.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield sentence.replace(_NAME, f"{names[0]!r}{more}")


def _input_faults(graph: onnx.GraphProto) -> Iterator[str]:
    """What is wrong with what a graph takes."""
    from onnx import helper

    constants = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        kind = value.type.tensor_type
        if value.name in constants or other_kind(value):
            continue
        if not kind.HasField("shape"):
            yield f"doesn't say how many dimensions its input {value.name!r} has; export it with a shape"
        try:
            dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        except KeyError:
            yield f"takes {value.name!r} of the type {kind.elem_type}, which is none of ONNX"
            continue
        if dtype.kind not in "fiub":
            yield f"takes {value.name!r} of {'texts' if dtype.kind == 'O' else dtype.name}, where numbers are expected"


def _wiring_faults(graph: onnx.GraphProto) -> Iterator[str]:
    """The tensors that a graph takes from nowhere or from what comes later, and those that are made twice."""
    weights = [t.name for t in graph.initializer] + [t.values.name for t in graph.sparse_initializer]
    sources = [*weights, *(value.name for value in graph.input if value.name not in weights)]
    outputs = [name for node in graph.node for name in node.output if name]
    damaged = "it is damaged, get the file again"
    made = {*sources, *outputs}
    ends = [value.name for value in graph.output]
    if lost := dict.fromkeys(name for name in _read(graph) + ends if name not in made):
        yield f"takes {_several(lost)} from nowhere; {damaged}"
    if twice := [name for name, count in Counter([*sources, *outputs]).items() if count > 1]:
        yield f"makes {_several(twice)} more than once; {damaged}"
    if early := dict.fromkeys(_read_early(graph, set(sources) | set(lost))):
        yield f"takes {_several(early)} before it is made (its nodes are out of order, or in a circle); export it again"


def _read(graph: onnx.GraphProto) -> list[str]:
    return [name for node in graph.node for name in node.input if name]


def _read_early(graph: onnx.GraphProto, known: set[str]) -> Iterator[str]:
    for node in graph.node:
        yield from (name for name in node.input if name and name not in known)
        known.update(node.output)


def _several(names: Iterable[str]) -> str:
    return ", ".join(map(repr, [*names][:3]))


def _tensor_faults(tensor: onnx.TensorProto, file: Path) -> Iterator[str]:
    """What is wrong with a constant, with _NAME where its name belongs: many have the same."""
    if any(size < 0 for size in tensor.dims):
        yield f"{_NAME} has the shape {tuple(tensor.dims)}; it is damaged, get the file again"
        return
    if not _is_external(tensor):
        expected = _raw_bytes(tensor)
        if tensor.HasField("raw_data") and expected is not None and len(tensor.raw_data) != expected:
            yield (
                f"{_NAME} holds {len(tensor.raw_data)} bytes where its shape {tuple(tensor.dims)} needs "
                f"{expected}; it is damaged, get the file again"
            )
        return
    location = _location(tensor)
    folder = file.parent.resolve()
    target = Path(os.path.normpath(folder / location))
    # No path holds a NUL, and the operating system's own refusal of one is no OSError.
    nowhere = not location or "\0" in location
    if nowhere or not target.is_relative_to(folder) or not target.resolve().is_relative_to(folder):
        remedy = "put that beside the file, and say so in it"
        yield f"keeps {_NAME} in {location!r}, which is outside of its folder; {remedy}"
    elif not os.path.isfile(target):  # Path.is_file raises on a name that is too long
        yield f"keeps {_NAME} in {location!r}, which isn't there; put it beside the file"
    else:
        yield from _size_fault(tensor, location, target.stat().st_size)


def _size_fault(tensor: onnx.TensorProto, location: str, size: int) -> Iterator[str]:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", 0))
    except ValueError:
        yield f"keeps {_NAME} at {entries.get('offset')!r} of {location!r}, where a number is expected"
        return
    needed = _raw_bytes(tensor) or 0
    if length and needed and length != needed:
        yield f"keeps {length} bytes for {_NAME} in {location!r}, where its shape needs {needed}"
    elif offset < 0 or offset + max(length, needed) > size:
        yield f"keeps {_NAME} beyond the end of {location!r}, which has {size} bytes; get it again"


def _raw_bytes(tensor: onnx.TensorProto) -> int | None:
    """The bytes of a tensor's values; None for a type of less than a byte, texts, or a type that nobody knows."""
    import math

    from onnx import helper

    try:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except KeyError:
        return None
    if dtype.kind == "O" or dtype.name in {"int4", "uint4", "int2", "uint2", "float4_e2m1fn"}:
        return None
    return math.prod(tensor.dims) * dtype.itemsize


def _is_external(tensor: onnx.TensorProto) -> bool:
    import onnx

    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def _location(tensor: onnx.TensorProto) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """All constants of a model, those in the bodies of If and Loop and in functions included."""
    yield from model.graph.initializer
    nodes: list[Any] = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while nodes:
        for attribute in nodes.pop().attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for body in (attribute.g, *attribute.graphs):
                yield from body.initializer
                nodes.extend(body.node)
