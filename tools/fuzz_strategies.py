"""Hypothesis strategies of damaged files: bytes, TOML, .tflite, .onnx, .npz and .keras archives."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from edgecut.tflite.pack import packed, unpacked

CANARY = "canary"
"""The file that code hidden in an input would write."""

BIG = 1 << 62
NUMBERS = [0, 1, -1, 2, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, BIG, -BIG]
WORDS = ["", ".", "..", "../../x", "/etc/passwd", "a..b", "\x00", "é", "nan", "x" * 5000, "-1", "__class__", "%s{0}"]
WILD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.floats() | st.sampled_from(WORDS) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*WORDS, "a"]), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def damaged(draw: st.DrawFn, seeds: Sequence[bytes], most: int = 6) -> bytes:
    """A file with a few of its bytes changed, cut, repeated, or filled with telling numbers."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, most))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        size = draw(st.sampled_from([1, 2, 4, 8, 64]))
        match draw(st.sampled_from(["flip", "number", "cut", "drop", "repeat", "noise"])):
            case "flip" if content:
                content[place] ^= 1 << draw(st.integers(0, 7))
            case "number":
                number = draw(st.sampled_from(NUMBERS)) & (1 << 64) - 1
                content[place : place + size] = struct.pack("<Q", number)[: min(size, 8)]
            case "cut":
                del content[place:]
            case "drop":
                del content[place : place + size]
            case "repeat":
                content[place:place] = content[place : place + size] * draw(st.sampled_from([1, 3, 50]))
            case "noise":
                content[place : place + size] = draw(st.binary(max_size=size))
    return bytes(content)


@st.composite
def altered(draw: st.DrawFn, seeds: Sequence[Any]) -> Any:
    """Tables with a few values replaced, removed, or put where they don't belong."""
    tables = json.loads(json.dumps(draw(st.sampled_from(seeds))))
    for _ in range(draw(st.integers(1, 4))):
        node = tables
        while isinstance(node, dict | list) and node:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = draw(st.sampled_from(keys))
            if not isinstance(node[key], dict | list) or not node[key] or draw(st.booleans()):
                match draw(st.sampled_from(["value", "value", "remove", "new"])):
                    case "value":
                        node[key] = draw(WILD)
                    case "remove":
                        del node[key]
                    case "new" if isinstance(node, dict):
                        node[draw(st.sampled_from(WORDS))] = draw(WILD)
                break
            node = node[key]
    return tables


@st.composite
def altered_tflite(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A whole .tflite file of which a few fields say something else: shapes, types, indices, options, weights."""
    model = unpacked(draw(st.sampled_from(seeds)))
    graph = model.subgraphs[0]
    for _ in range(draw(st.integers(1, 3))):
        tensor, operator = (draw(st.sampled_from(rows)) for rows in (graph.tensors, graph.operators))
        place = draw(st.integers(0, 3))
        match draw(st.sampled_from(["shape", "rank", "type", "scale", "fewer", "index", "option", "code", "data"])):
            case "shape" if tensor.shape is not None and len(tensor.shape):
                tensor.shape = np.array(tensor.shape)
                tensor.shape[place % len(tensor.shape)] = draw(st.sampled_from([0, 1, 2, 3, 255, 4096, 2**20, -1]))
            case "rank":
                tensor.shape = np.array(draw(st.lists(st.integers(0, 5), max_size=6)), np.int32)
            case "type":
                tensor.type = draw(st.integers(0, 20))
            case "scale" if tensor.quantization is not None:
                tensor.quantization.scale = draw(st.lists(st.floats(width=32), max_size=3)) or None
            case "fewer":
                side = draw(st.sampled_from(["inputs", "outputs"]))
                setattr(operator, side, list(getattr(operator, side))[:place])
            case "index":
                side = draw(st.sampled_from(["inputs", "outputs"]))
                indices = list(getattr(operator, side))
                if indices:
                    indices[place % len(indices)] = draw(st.integers(-1, len(graph.tensors) - 1))
                setattr(operator, side, indices)
            case "option" if operator.builtinOptions is not None:
                name = draw(st.sampled_from(sorted(vars(operator.builtinOptions)) or ["none"]))
                if isinstance(getattr(operator.builtinOptions, name, None), int):
                    setattr(operator.builtinOptions, name, draw(st.sampled_from([0, 1, 2, 3, 127, -1])))
            case "code":
                code = draw(st.sampled_from(model.operatorCodes))
                code.builtinCode = draw(st.integers(0, 160))
                code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            case "data":
                buffer = draw(st.sampled_from(model.buffers))
                if buffer.data is not None and len(buffer.data):
                    buffer.data = np.frombuffer(draw(damaged([bytes(buffer.data)])), np.uint8)
    try:
        return packed(model)
    except (OverflowError, TypeError, ValueError, struct.error, AttributeError):
        return b""  # what the packer can't say is no input


@st.composite
def altered_onnx(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A whole .onnx file of which a few fields say something else: sizes, types, names, operators, attributes."""
    import onnx

    model = onnx.load_model_from_string(draw(st.sampled_from(seeds)))
    graph = model.graph
    for _ in range(draw(st.integers(1, 3))):
        node = draw(st.sampled_from(graph.node))
        value = draw(st.sampled_from([*graph.input, *graph.output, *graph.value_info]))
        kind = value.type.tensor_type
        match draw(st.sampled_from(["size", "rank", "type", "fewer", "name", "operator", "attribute", "data", "ir"])):
            case "size" if kind.shape.dim:
                axis = draw(st.sampled_from(kind.shape.dim))
                axis.dim_value = draw(st.sampled_from([0, 1, 2, 3, 4096, 2**31, -1]))
            case "rank":
                kind.ClearField("shape")
                for size in draw(st.lists(st.integers(0, 4), max_size=5)):
                    kind.shape.dim.add().dim_value = size
            case "type":
                kind.elem_type = draw(st.integers(0, 27))
            case "fewer":
                del draw(st.sampled_from([node.input, node.output]))[draw(st.integers(0, 2)) :]
            case "name" if node.input:
                node.input[0] = draw(st.sampled_from([*node.output, *node.input, "", "x"]))
            case "operator":
                node.op_type = draw(st.sampled_from(_ONNX_OPERATORS))
            case "attribute" if node.attribute:
                attribute = draw(st.sampled_from(node.attribute))
                attribute.i = draw(st.sampled_from([0, 1, -1, 127, BIG]))
                attribute.ints[:] = draw(st.lists(st.sampled_from([0, 1, 2, -1, 4096, BIG]), max_size=5))
            case "data" if graph.initializer:
                tensor = draw(st.sampled_from(graph.initializer))
                tensor.data_type = draw(st.sampled_from([tensor.data_type, draw(st.integers(0, 27))]))
                tensor.dims[:] = draw(st.sampled_from([list(tensor.dims), [0], [], [2, 2], [2**31, 2**31]]))
            case "ir":
                model.ir_version = draw(st.integers(1, 12))
                if model.opset_import:
                    model.opset_import[0].version = draw(st.integers(1, 25))
    return bytes(model.SerializeToString())


_ONNX_OPERATORS = (
    "Conv", "Gemm", "MatMul", "Relu", "Reshape", "Transpose", "Loop", "If", "Scan", "Resize", "SequenceConstruct",
    "SequenceAt", "Optional", "QuantizeLinear", "DequantizeLinear", "ConstantOfShape", "Expand", "Tile", "Pad", "Cast",
    "Where", "TopK", "LSTM", "StringNormalizer", "Unique", "MaxPool", "Concat", "Split", "NoSuchOperator",
)  # fmt: skip


@st.composite
def beyond_toml(draw: st.DrawFn) -> bytes:
    """TOML beyond what a parser takes: nested deeply, of many digits, with NUL."""
    count = draw(st.sampled_from([50, 1000, 4301, 100_000]))
    value = draw(st.sampled_from(["[" * count + "]" * count, "9" * count, '"\x00"', "{a=" * count + "1" + "}" * count]))
    return f"{draw(st.sampled_from(['name', 'clock_hz', 'data.calibration']))} = {value}".encode()


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """An .npz with arrays of odd shapes and types, headers that lie, pickles, and members outside of it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in draw(st.lists(st.sampled_from(["x_train", "y_train", "x_test", "y_test", "../x"]), max_size=5)):
            archive.writestr(name + ".npy", draw(_members()))
    return out.getvalue()


@st.composite
def _members(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["array", "pickle", "lie", "bomb", "noise"]))
    dims = draw(st.lists(st.sampled_from([0, 1, 2, 3, 4, 32]), max_size=5))
    if kind == "array":
        dtype = draw(st.sampled_from(["u1", "i8", "f4", "f8", "U3", "?", "c8", "M8[s]", ">i2", [("a", "u1")]]))
        return npy_bytes(np.zeros(dims, np.dtype(dtype)))
    if kind == "pickle":
        return npy_bytes(np.array([Payload()], dtype=object))
    if kind == "lie":
        shape = draw(st.sampled_from([(BIG,), (2**31, 2**31), (-1, 4), (10**6, 32, 32, 3), ("a",), (True,), (1.5, 2)]))
        return _header({"descr": draw(st.sampled_from(["|u1", "<i8", "|O", "", None, 7])), "fortran_order": False,
                        "shape": shape}) + b"\0" * 64  # fmt: skip
    if kind == "bomb":
        return _header({"descr": "|u1", "fortran_order": False, "shape": (1 << 14, 32, 32)}) + bytes(1 << 24)
    return draw(st.binary(max_size=64))


@st.composite
def model_archives(draw: st.DrawFn, model: bytes) -> bytes:
    """A .keras archive with an altered configuration, other weights, members outside of it, code, or a bomb."""
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    match draw(st.sampled_from(["config", "config", "lambda", "huge", "outside", "bomb", "weights", "metadata"])):
        case "config":
            members["config.json"] = json.dumps(draw(altered([config]))).encode()
        case "lambda":
            code = {"class_name": "__lambda__", "config": {"code": "gASV", "defaults": None, "closure": None}}
            layer = draw(st.sampled_from(config["config"]["layers"]))
            layer["class_name"] = draw(st.sampled_from(["Lambda", "os.system", "builtins.eval", "TFOpLambda"]))
            layer["module"] = draw(st.sampled_from(["keras.layers", "os", "builtins", "subprocess", None]))
            layer["config"] = {"name": layer["name"], "function": code, "command": f"touch {CANARY}"}
            members["config.json"] = json.dumps(config).encode()
        case "huge":
            layer = draw(st.sampled_from([row for row in config["config"]["layers"] if "filters" in row["config"]]))
            size = draw(st.sampled_from([10**12, BIG, -1]))
            layer["config"]["filters"] = size if draw(st.booleans()) else layer["config"]["filters"]
            layer["build_config"] = {"input_shape": [None, size, size, size]}
            members["config.json"] = json.dumps(config).encode()
        case "outside":
            members[draw(st.sampled_from(["../../outside", "/outside", "a/../../outside"]))] = b"x"
        case "bomb":
            members[draw(st.sampled_from(["config.json", "metadata.json"]))] = b" " * (1 << 28)
        case "weights":
            members["model.weights.h5"] = draw(damaged([members["model.weights.h5"]]))
        case "metadata":
            members["metadata.json"] = json.dumps(draw(WILD)).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


class Payload:
    """What a hostile pickle does when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (CANARY, "w"))


def npy_bytes(array: np.ndarray) -> bytes:
    """The content of a .npy file, object arrays pickled."""
    out = io.BytesIO()
    np.lib.format.write_array(out, array, allow_pickle=True)
    return out.getvalue()


def _header(fields: Mapping[str, Any]) -> bytes:
    text = repr(dict(fields)).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
