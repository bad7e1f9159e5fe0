"""A .tflite file read as data: tensors, operators, inputs and outputs, without TensorFlow."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecut.errors import SourceError
from edgecut.records.bundle_files import model_hint
from edgecut.records.lfs import POINTER, is_pointer_file
from edgecut.sandbox.limits import over_limits
from edgecut.tflite.arity import arity_fault
from edgecut.tflite.counts import check_counts

IDENTIFIER = b"TFL3"

# What the generated reader raises on bytes that are no flatbuffer or not a whole one.
_DAMAGE = (struct.error, ValueError, IndexError, TypeError, AttributeError, OverflowError, KeyError)

# Offsets of the `name` field in the vtables of the schema's Tensor (field 3) and TensorMap (field 0).
_TENSOR_NAME, _TENSOR_MAP_NAME = 10, 4
# And of the SubGraph's `inputs` (field 1) and `outputs` (field 2).
_SUBGRAPH_SIDES = {"Inputs": 6, "Outputs": 8}

_BITS: dict[str, int] = {
    "float32": 32,
    "float16": 16,
    "bfloat16": 16,
    "float64": 64,
    "int2": 2,
    "int4": 4,
    "int8": 8,
    "int16": 16,
    "int32": 32,
    "int64": 64,
    "uint4": 4,
    "uint8": 8,
    "uint16": 16,
    "uint32": 32,
    "uint64": 64,
    "bool": 8,
    "complex64": 64,
    "complex128": 128,
    "float8_e4m3fn": 8,
    "float8_e5m2": 8,
}

T = TypeVar("T")


@dataclass(frozen=True)
class Tensor:
    """One tensor of the graph.

    shape: as the file fixes it (a dynamic dimension is 1 there); `dynamic` tells whether one is, open_axes which.
    scales, zero_points: empty if not quantized, one each per tensor, several per channel along `axis`.
    lacks_zero_points: the file has scales alone, and 0 is taken for each. size_bytes: of the elements; 0 for a type
    without a fixed size (string, resource, variant). is_sparse: only what isn't zero is stored. blockwise: quantized in
    blocks, whose scales are another tensor's values.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int | None = None
    is_constant: bool = False
    is_variable: bool = False
    dynamic: bool = False
    is_sparse: bool = False
    blockwise: bool = False
    lacks_zero_points: bool = False
    open_axes: tuple[int, ...] = ()

    @cached_property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @cached_property
    def size_bytes(self) -> int:
        """The bytes of all elements, packed as the runtime holds them."""
        return -(-self.elements * _BITS.get(self.dtype, 0) // 8)

    @cached_property
    def arena_bytes(self) -> int:
        """What TFLM counts for it in its arena: 4-bit values lie in a byte each, a resource is the number of one.

        Constants and variables lie elsewhere.
        """
        if self.is_constant or self.is_variable:
            return 0
        return {"int4": self.elements, "resource": 4 * self.elements}.get(self.dtype, self.size_bytes)


@dataclass(frozen=True)
class Operator:
    """One call. name: "CONV_2D", or the custom code of a custom operator. An absent optional input is -1.

    custom_options: of a custom operator, as its own kernel reads them. table: the options' table of the schema
    ("AddOptions"), which in a damaged file may be another operator's; "" without any, None where no file is.
    """

    index: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    custom: bool = False
    custom_options: bytes = b""
    table: str | None = None


@dataclass(frozen=True)
class TfliteGraph:
    """The first subgraph of a file, in execution order. subgraphs: how many the file has.

    others: the subgraphs behind it, which IF, WHILE and CALL_ONCE run. arena_offsets: of the tensors of all subgraphs,
    one after another, -1 where the runtime plans itself; () without the metadata that says so. results: what rules
    gave for the first operators, see per_operator.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraphs: int = 1
    size_bytes: int = 0
    description: str = ""
    others: tuple[TfliteGraph, ...] = ()
    arena_offsets: tuple[int, ...] = ()
    results: dict[Callable[..., object], list[Any]] = field(default_factory=dict, init=False, repr=False, compare=False)


def per_operator(graph: TfliteGraph, rule: Callable[[TfliteGraph, Operator], T]) -> Sequence[T]:
    """What a rule gives for each operator of a graph, by the operator, its tensors and what comes before it.

    A rule isn't asked twice of a graph, nor of operators that two parts of a model in a row (lowering/) begin with.
    """
    rows: list[T] = graph.results.setdefault(rule, [])
    rows.extend(rule(graph, operator) for operator in graph.operators[len(rows) :])
    return rows


def read(path: Path) -> TfliteGraph:
    """The graph of a .tflite file. Raises SourceError if the file is missing, foreign, empty or damaged."""
    return parse(read_content(path), str(path))


def read_content(path: Path) -> bytes:
    """The bytes of a file. Raises SourceError if it can't be read, or is larger than the limits let it be."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise SourceError(f"{path}: is a pipe or a device; a .tflite or .onnx file is expected")
    if is_pointer_file(path):
        raise SourceError(f"{path}: {POINTER}")
    try:
        over = over_limits(Path(path).stat().st_size)
        if over:
            raise SourceError(f"{path}: {over}")
        return Path(path).read_bytes()
    except FileNotFoundError as exc:
        raise SourceError(f"{path}: no such file") from exc
    except IsADirectoryError as exc:
        hint = model_hint(path, ".tflite", ".onnx")
        raise SourceError(f"{path}: is a folder; a .tflite or .onnx file is expected{hint}") from exc
    except OSError as exc:
        raise SourceError(f"{path}: can't be read ({exc.strerror})") from exc


def parse(content: bytes, where: str) -> TfliteGraph:
    """The graph that a .tflite file's bytes describe; a SourceError begins with `where`, the file's name."""
    model = _model(content, where)
    try:
        graph = _graph(model, len(content))
    except _DAMAGE as exc:
        raise SourceError(_damaged(where, content)) from exc
    for operator in graph.operators:
        fault = "" if operator.custom else arity_fault(operator.name, operator.inputs, operator.outputs)
        if fault:
            raise SourceError(
                f"{where}: is no .tflite file that runs (operator {operator.index}: {fault}); get it again"
            )
    return graph


def name_io(content: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """The same model with its input and output tensors renamed and in that order; signatures carry the new names, too.

    Nothing is packed anew, since the Python packer loses the 16-byte alignment that kernels rely on: new
    strings are appended, and the offsets that pointed to the old ones point to them. Where a
    signature holds exactly these names already, it decides which tensor gets which; else the order does.
    Raises SourceError if `content` is no .tflite model, or has no names to change; ValueError if the counts
    differ.
    """
    where = "model"
    graph = parse(content, where)
    if (len(inputs), len(outputs)) != (len(graph.inputs), len(graph.outputs)):
        raise ValueError(f"{len(graph.inputs)} input and {len(graph.outputs)} output names are expected")
    root = schema.Model.GetRootAs(content, 0)
    signatures = [root.SignatureDefs(k) for k in range(root.SignatureDefsLength())]
    fields: list[tuple[schema.Tensor | schema.TensorMap, int, str]] = []
    patched = bytearray(content)
    for side, indices, names in (("Inputs", graph.inputs, inputs), ("Outputs", graph.outputs, outputs)):
        maps = [m for s in signatures if s.SubgraphIndex() == 0 for m in _signature_maps(s, side)]
        by_index = _assigned(indices, names, maps)
        fields += [(root.Subgraphs(0).Tensors(k), _TENSOR_NAME, name) for k, name in by_index.items()]
        fields += [(m, _TENSOR_MAP_NAME, by_index[m.TensorIndex()]) for m in maps if m.TensorIndex() in by_index]
        by_name = {name: index for index, name in by_index.items()}
        if len(by_name) == len(names):
            _put_in_order(patched, root.Subgraphs(0), side, [by_name[name] for name in names])
    for table, slot, name in fields:
        _point_to_new_string(patched, table, slot, name, where)
    return bytes(patched)


def _put_in_order(patched: bytearray, subgraph: schema.SubGraph, side: str, indices: Sequence[int]) -> None:
    """Write the tensors of a side in another order; nothing moves."""
    offset = subgraph._tab.Offset(_SUBGRAPH_SIDES[side])
    struct.pack_into(f"<{len(indices)}i", patched, subgraph._tab.Vector(offset), *indices)


def _signature_maps(signature: schema.SignatureDef, side: str) -> list[schema.TensorMap]:
    return [getattr(signature, side)(k) for k in range(getattr(signature, f"{side}Length")())]


def _assigned(indices: Sequence[int], names: Sequence[str], maps: Sequence[schema.TensorMap]) -> dict[int, str]:
    known = {m.TensorIndex(): (m.Name() or b"").decode(errors="replace") for m in maps}
    # The converter orders tensors by the signature's sorted keys ("output_10" before "output_2").
    if set(known) == set(indices) and sorted(known.values()) == sorted(names):
        return known
    return dict(zip(indices, names, strict=True))


def _point_to_new_string(
    patched: bytearray, table: schema.Tensor | schema.TensorMap, slot: int, name: str, where: str
) -> None:
    offset = table._tab.Offset(slot)
    if offset == 0:
        raise SourceError(f"{where}: an input or output tensor has no name field, so it can't be named {name!r}")
    patched += bytes(-len(patched) % 4)
    position, text = table._tab.Pos + offset, name.encode()
    struct.pack_into("<I", patched, position, len(patched) - position)
    patched += struct.pack("<I", len(text)) + text + b"\0"
    patched += bytes(-len(patched) % 4)


def _model(content: bytes, where: str) -> schema.ModelT:
    if not content:
        raise SourceError(f"{where}: is empty; a .tflite file is expected")
    if content[4:8] != IDENTIFIER:
        raise SourceError(
            f"{where}: is no .tflite file: bytes 4 to 8 are {content[4:8]!r}, and {IDENTIFIER!r} is expected"
        )
    try:
        root = schema.Model.GetRootAs(content, 0)
        check_counts(root, len(content), where)
        model = schema.ModelT.InitFromObj(root)
    except _DAMAGE as exc:
        raise SourceError(_damaged(where, content)) from exc
    if not model.subgraphs or not model.operatorCodes or not model.buffers:
        raise SourceError(f"{where}: holds no graph; a .tflite model with at least one operator is expected")
    return model


def _damaged(where: str, content: bytes) -> str:
    found = f"cut short or overwritten; {len(content):,} bytes are here"
    return f"{where}: is a damaged .tflite file ({found}); get it again"


def _shape(tensor: schema.TensorT) -> tuple[int, ...]:
    shape = tuple(int(extent) for extent in _array(tensor.shape))
    if min(shape, default=0) < 0:
        raise ValueError("a shape has a negative extent, which only its signature may have")
    return shape


def _graph(model: schema.ModelT, size_bytes: int) -> TfliteGraph:
    if any(entry.buffer >= len(model.buffers) for entry in model.metadata or ()):
        raise IndexError("metadata names a buffer that isn't there")
    first, *others = (_subgraph(subgraph, model, size_bytes) for subgraph in model.subgraphs)
    return replace(
        first,
        subgraphs=len(model.subgraphs),
        size_bytes=size_bytes,
        others=tuple(others),
        description=(model.description or b"").decode(errors="replace"),
        arena_offsets=_arena_offsets(model),
    )


def _subgraph(subgraph: schema.SubGraphT, model: schema.ModelT, size_bytes: int) -> TfliteGraph:
    tensors = tuple(_tensor(k, t, model.buffers, size_bytes) for k, t in enumerate(subgraph.tensors or ()))
    operators = tuple(_operator(k, op, model.operatorCodes) for k, op in enumerate(subgraph.operators or ()))
    inputs, outputs = _indices(subgraph.inputs), _indices(subgraph.outputs)
    used = {i for op in operators for i in (*op.inputs, *op.outputs)} | {*inputs, *outputs}
    if used and not -1 <= min(used) <= max(used) < len(tensors):
        raise IndexError("an operator names a tensor that isn't there")
    return TfliteGraph(tensors, operators, inputs, outputs)


def _arena_offsets(model: schema.ModelT) -> tuple[int, ...]:
    """The offsets of an arena that was planned beforehand: a version, a subgraph, a count, then the offsets."""
    for entry in model.metadata or ():
        if entry.name == b"OfflineMemoryAllocation":
            data = np.frombuffer(bytes(_array(model.buffers[entry.buffer].data)), np.int32)
            return tuple(data[3:].tolist())
    return ()


def _tensor(index: int, tensor: schema.TensorT, buffers: Sequence[schema.BufferT], size_bytes: int) -> Tensor:
    buffer = buffers[tensor.buffer]
    if buffer.offset and buffer.offset + buffer.size > size_bytes:
        raise IndexError("a buffer lies behind the end of the file")
    quantization = tensor.quantization
    scales = _numbers(quantization.scale if quantization else None, float)
    written = _numbers(quantization.zeroPoint if scales else None, int)
    zero_points = written or (0,) * len(scales)
    if len(zero_points) != len(scales):
        raise ValueError("a tensor has another number of zero points than of scales")
    return Tensor(
        index=index,
        name=(tensor.name or b"").decode(errors="replace"),
        shape=_shape(tensor),
        dtype=_TYPES[tensor.type],
        scales=scales,
        zero_points=zero_points,
        axis=int(quantization.quantizedDimension) if len(scales) > 1 else None,
        is_constant=bool(len(_array(buffer.data)) or buffer.offset > 1),
        is_variable=bool(tensor.isVariable),
        dynamic=any(d < 0 for d in _array(tensor.shapeSignature)),
        open_axes=tuple(axis for axis, d in enumerate(_array(tensor.shapeSignature)) if d < 0),
        is_sparse=tensor.sparsity is not None,
        blockwise=bool(quantization) and quantization.detailsType == schema.QuantizationDetails.BlockwiseQuantization,
        lacks_zero_points=bool(scales) and not written,
    )


def _operator(index: int, operator: schema.OperatorT, codes: Sequence[schema.OperatorCodeT]) -> Operator:
    code = codes[operator.opcodeIndex]
    # Files of older converters keep the code in the deprecated 8-bit field alone.
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    custom = number == schema.BuiltinOperator.CUSTOM
    name = (code.customCode or b"CUSTOM").decode(errors="replace") if custom else _OPERATORS[number]
    options = vars(operator.builtinOptions) if operator.builtinOptions is not None else {}
    return Operator(
        index=index,
        name=name,
        version=int(code.version),
        inputs=_indices(operator.inputs),
        outputs=_indices(operator.outputs),
        options={k: _plain(v) for k, v in options.items()},
        custom=custom,
        custom_options=bytes(np.asarray(_array(operator.customOptions), np.uint8)) if custom else b"",
        table=_TABLES[operator.builtinOptionsType] if options else "",
    )


# A vector of the schema's objects.
Values: TypeAlias = "np.ndarray | Sequence[int]"
N = TypeVar("N", int, float)


def _array(values: Values | None) -> Values:
    return () if values is None else values


def _indices(values: Values | None) -> tuple[int, ...]:
    return tuple(int(i) for i in _array(values))


def _numbers(values: Values | None, kind: type[N]) -> tuple[N, ...]:
    return tuple(kind(v) for v in _array(values))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


_OPERATORS = _names(schema.BuiltinOperator)
_TABLES = _names(schema.BuiltinOptions)
_TYPES = {number: name.lower() for number, name in _names(schema.TensorType).items()}
