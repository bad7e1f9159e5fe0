"""Hostile .onnx, .tflite and .npz files for tools/attack: data outside, indices that point nowhere, sizes that lie."""

from __future__ import annotations

import io
import os
import random
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from attack_case import FIXTURES, Case, Place, file_commands, model_commands

from edgecut.tflite.pack import packed, unpacked

BIG = 1 << 31


def external_cases(rng: random.Random) -> Iterator[Case]:
    """Weights of an .onnx file that lie, or should lie, in another file."""
    for name in _LOCATIONS:
        yield Case("external", name, partial(_put_external, name))


def onnx_cases(rng: random.Random) -> Iterator[Case]:
    """Names, sizes, types and attributes of an .onnx file that don't fit together; and damaged bytes."""
    for name in _ONNX_CHANGES:
        yield Case("onnx", name, partial(_put_onnx, name))
    for k in range(16):
        yield Case("onnx", f"damaged {k}", partial(_put_damaged, "tiny.float32.onnx", rng.random(), rng.randrange(256)))


def tflite_cases(rng: random.Random) -> Iterator[Case]:
    """Indices, shapes and options of a .tflite file that point nowhere; and damaged bytes."""
    for name in _TFLITE_CHANGES:
        yield Case("tflite", name, partial(_put_tflite, name))
    for k in range(24):
        name = ("tiny.int8.tflite", "tiny.float32.tflite")[k % 2]
        yield Case("tflite", f"damaged {k}", partial(_put_damaged, name, rng.random() ** 2, rng.randrange(256)))


def npz_cases(rng: random.Random) -> Iterator[Case]:
    """Arrays that are pickles, or lie about their size; archives that lie."""
    for name in _NPZ:
        yield Case("npz", name, partial(_put_npz, name))
    for k in range(8):
        yield Case("npz", f"damaged {k}", partial(_put_npz_damage, rng.random(), rng.randrange(256)))


_LOCATIONS = (
    "../secret.bin",
    "absolute",
    "a/../../secret.bin",
    "link",
    "folder link",
    "pipe",
    "itself",
    "device",
    "offset beyond",
    "length beyond",
    "negative offset",
    "no number",
    "empty",
    "NUL",
    "shared memory",
    "drive",
    "percent",
    "many keys",
)


def _put_external(name: str, place: Place) -> list[list[str]]:
    import onnx

    model = onnx.load(str(FIXTURES / "tiny.float32.onnx"))
    path = place.input / "m.onnx"
    tensor = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    size = len(tensor.raw_data)
    (place.input / "w.bin").write_bytes(tensor.raw_data)
    where = {
        "absolute": place.secret,
        "link": "link.bin",
        "folder link": "up/secret.bin",
        "pipe": "pipe",
        "itself": "m.onnx",
        "device": "/dev/zero",
        "empty": "",
        "NUL": "w.bin\0x",
        "drive": "C:\\x",
        "percent": "%2e%2e/secret.bin",
        "shared memory": "*/_ORT_MEM_ADDR_/*",
    }.get(name, "w.bin")
    if name.endswith("secret.bin"):
        where = name
    entries = {"location": where}
    match name:
        case "link":
            (place.input / "link.bin").symlink_to(place.secret)
        case "folder link":
            (place.input / "up").symlink_to(place.box)
        case "pipe":
            os.mkfifo(place.input / "pipe")
        case "offset beyond":
            entries["offset"] = str(1 << 62)
        case "length beyond":
            entries["length"] = str(1 << 62)
        case "negative offset":
            entries |= {"offset": "-8", "length": str(size)}
        case "no number":
            entries |= {"offset": "0x", "length": "nan"}
        case "shared memory":
            entries |= {"offset": "4096", "length": str(size)}
        case "many keys":
            entries |= {f"key {k}": "x" for k in range(10_000)}
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString())
    return [*file_commands(path, place), ["import", str(path), "-o", str(place.out / "m.keras")]]


def _onnx_changes() -> dict[str, Callable[[Any, Place], None]]:
    """Changes of an onnx.ModelProto in place."""

    def first(model: Any) -> Any:
        return model.graph.node[0]

    def loop(model: Any) -> None:
        model.graph.node[0].input[0] = model.graph.node[-1].output[0]

    def deep(model: Any) -> None:
        graph = model.graph
        for _ in range(90):
            node = graph.node.add(op_type="If", input=["c"], output=["o"])
            attribute = node.attribute.add(name="then_branch", type=5)
            graph = attribute.g

    def dims(*sizes: int) -> Callable[[Any, Place], None]:
        return lambda model, place: model.graph.initializer[0].dims.__setitem__(slice(None), sizes)

    def add(op: str, **attributes: Any) -> Callable[[Any, Place], None]:
        def change(model: Any, place: Place) -> None:
            import onnx

            node = onnx.helper.make_node(op, [model.graph.input[0].name], ["added"], **attributes)
            model.graph.node.insert(0, node)
            model.graph.node[1].input[0] = "added"

        return change

    return {
        "input of nowhere": lambda m, p: first(m).input.__setitem__(0, "nowhere"),
        "output twice": lambda m, p: m.graph.node[1].output.__setitem__(0, first(m).output[0]),
        "own output": lambda m, p: first(m).input.__setitem__(0, first(m).output[0]),
        "loop": lambda m, p: loop(m),
        "no nodes": lambda m, p: m.graph.ClearField("node"),
        "no outputs": lambda m, p: m.graph.ClearField("output"),
        "no opset": lambda m, p: m.ClearField("opset_import"),
        "opset of 2 ** 40": lambda m, p: setattr(m.opset_import[0], "version", 1 << 40),
        "another domain": lambda m, p: setattr(first(m), "domain", "evil.so"),
        "huge dims": dims(BIG, BIG),
        "negative dims": dims(-1, -1),
        "overflowing dims": dims(1 << 32, 1 << 32),
        "type 99": lambda m, p: setattr(m.graph.initializer[0], "data_type", 99),
        "strings": lambda m, p: setattr(m.graph.initializer[0], "data_type", 8),
        "huge input": lambda m, p: setattr(m.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 1 << 40),
        "control names": lambda m, p: setattr(first(m), "name", "\x1b[2J\n| a | b |\u202e<script>"),
        "doc string": lambda m, p: setattr(m, "doc_string", "<script>alert(1)</script>\x1b]0;x\x07"),
        "metadata": lambda m, p: m.metadata_props.add(key="\n# x", value="[x](javascript:y)") and None,
        "function of itself": lambda m, p: m.functions.add(name="Relu", domain="").node.add(op_type="Relu") and None,
        "deep graphs": lambda m, p: deep(m),
        "ConstantOfShape": add("ConstantOfShape"),
        "Tile": add("Tile"),
        "Expand": add("Expand"),
        "huge pads": add("MaxPool", kernel_shape=[1 << 30, 1 << 30], pads=[1 << 30] * 4),
        "negative kernel": add("MaxPool", kernel_shape=[-1, -1]),
        "zero strides": add("MaxPool", kernel_shape=[1, 1], strides=[0, 0]),
        "RandomUniform": add("RandomUniform", shape=[1 << 20, 1 << 20]),
        "Loop without a body": add("Loop"),
        "com.microsoft EPContext": add("EPContext", ep_cache_context="../secret.bin", embed_mode=0, main_context=1),
    }


_ONNX_CHANGES = tuple(_onnx_changes())


def _put_onnx(name: str, place: Place) -> list[list[str]]:
    import onnx

    model = onnx.load(str(FIXTURES / "tiny.float32.onnx"))
    _onnx_changes()[name](model, place)
    path = place.input / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return [*file_commands(path, place), model_commands(path, place)[1]]


def _tensors(model: Any) -> Any:
    return model.subgraphs[0].tensors


def _operator(model: Any) -> Any:
    return model.subgraphs[0].operators[0]


def _tflite_changes() -> dict[str, Callable[[Any], None]]:
    """Changes of a schema ModelT in place."""

    def shape(*sizes: int) -> Callable[[Any], None]:
        return lambda model: setattr(_tensors(model)[model.subgraphs[0].inputs[0]], "shape", np.array(sizes, np.int32))

    def weights(*sizes: int) -> Callable[[Any], None]:
        return lambda model: setattr(_tensors(model)[_operator(model).inputs[1]], "shape", np.array(sizes, np.int32))

    return {
        "input index beyond": lambda m: setattr(_operator(m), "inputs", [10**6, 1, 2]),
        "input index negative": lambda m: setattr(_operator(m), "inputs", [-7, -7, -7]),
        "output index beyond": lambda m: setattr(_operator(m), "outputs", [BIG - 1]),
        "no inputs": lambda m: setattr(_operator(m), "inputs", []),
        "no outputs": lambda m: setattr(_operator(m), "outputs", None),
        "output is input": lambda m: setattr(_operator(m), "outputs", [_operator(m).inputs[0]]),
        "operator code beyond": lambda m: setattr(_operator(m), "opcodeIndex", 10**6),
        "no operator codes": lambda m: setattr(m, "operatorCodes", None),
        "operator 160": lambda m: setattr(m.operatorCodes[0], "builtinCode", 160),
        "WHILE": lambda m: setattr(m.operatorCodes[0], "builtinCode", 119),
        "custom": lambda m: (
            setattr(m.operatorCodes[0], "builtinCode", 32),
            setattr(m.operatorCodes[0], "customCode", b"../evil.so"),
        )[0],
        "buffer beyond": lambda m: setattr(_tensors(m)[0], "buffer", 10**6),
        "no buffers": lambda m: setattr(m, "buffers", None),
        "no subgraphs": lambda m: setattr(m, "subgraphs", []),
        "graph inputs beyond": lambda m: setattr(m.subgraphs[0], "inputs", [10**6]),
        "graph outputs negative": lambda m: setattr(m.subgraphs[0], "outputs", [-1]),
        "huge input": shape(1, 1 << 20, 1 << 10, 1),
        "overflowing input": shape(1 << 16, 1 << 16, 1 << 16, 1 << 16),
        "negative input": shape(1, -12, 12, 1),
        "empty input": shape(0, 0, 0, 0),
        "scalar input": shape(),
        "long shape": shape(*[1] * 4000),
        "huge weights": weights(1 << 15, 3, 3, 1 << 15),
        "weights of other rank": weights(8),
        "strides of 0": lambda m: setattr(_operator(m).builtinOptions, "strideH", 0),
        "strides negative": lambda m: setattr(_operator(m).builtinOptions, "strideW", -5),
        "no options": lambda m: (
            setattr(_operator(m), "builtinOptions", None),
            setattr(_operator(m), "builtinOptionsType", 0),
        )[0],
        "scale of 0": lambda m: setattr(_tensors(m)[0].quantization, "scale", [0.0]),
        "scale nan": lambda m: setattr(_tensors(m)[0].quantization, "scale", [float("nan")]),
        "zero point beyond": lambda m: setattr(_tensors(m)[0].quantization, "zeroPoint", [1 << 40]),
        "many scales": lambda m: setattr(_tensors(m)[0].quantization, "scale", [1.0] * 5000),
        "axis beyond": lambda m: setattr(_tensors(m)[_operator(m).inputs[1]].quantization, "quantizedDimension", 99),
        "type 99": lambda m: setattr(_tensors(m)[0], "type", 99),
        "string tensor": lambda m: setattr(_tensors(m)[0], "type", 5),
        "variable weights": lambda m: setattr(_tensors(m)[_operator(m).inputs[1]], "isVariable", True),
        "control names": lambda m: setattr(_tensors(m)[0], "name", b"\x1b[2J\n| a |\xe2\x80\xae<script>*/"),
        "name of no text": lambda m: setattr(_tensors(m)[0], "name", b"\xff\xfe"),
        "description": lambda m: setattr(m, "description", b"<script>\x1b]0;x\x07"),
    }


_TFLITE_CHANGES = tuple(_tflite_changes())


def _put_tflite(name: str, place: Place) -> list[list[str]]:
    model = unpacked((FIXTURES / "tiny.int8.tflite").read_bytes())
    _tflite_changes()[name](model)
    path = place.input / "m.tflite"
    path.write_bytes(packed(model))
    return file_commands(path, place)


def _put_damaged(name: str, where: float, value: int, place: Place) -> list[list[str]]:
    content = bytearray((FIXTURES / name).read_bytes())
    content[int(where * len(content))] = value
    path = place.input / f"m{os.path.splitext(name)[1]}"
    path.write_bytes(content)
    return file_commands(path, place)[:3]


class _Pickled:
    """What a hostile pickle does when it is loaded."""

    def __init__(self, canary: str) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.canary, "w"))


def _header(text: str, version: bytes = b"\x01\x00") -> bytes:
    content = text.encode() + b"\n"
    return b"\x93NUMPY" + version + len(content).to_bytes(2 if version[0] == 1 else 4, "little") + content


def _array(values: Any) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asarray(values), allow_pickle=True)
    return out.getvalue()


_NPZ: dict[str, Callable[[Place], bytes]] = {
    "pickle": lambda p: _array(np.array([_Pickled(p.canary)], dtype=object)),
    "bare pickle": lambda p: __import__("pickle").dumps(_Pickled(p.canary)),
    "object field": lambda p: _header("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}") + b"\0" * 8,
    "code in the header": lambda p: _header(f"__import__('os').system('touch {p.canary}')"),
    "huge": lambda p: _header("{'descr': '|u1', 'fortran_order': False, 'shape': (4611686018427387904,)}"),
    "overflow": lambda p: _header("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"),
    "negative": lambda p: _header("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 4)}"),
    "bomb": lambda p: _header("{'descr': '|u1', 'fortran_order': False, 'shape': (1048576, 32, 32)}") + bytes(1 << 30),
    "claims a bomb": lambda p: _header("{'descr': '|u1', 'fortran_order': False, 'shape': (60000, 512, 512, 3)}"),
    "endless header": lambda p: _header("{'descr': " + "(" * 9000, b"\x02\x00"),
    "header of 4 GiB": lambda p: b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
    "long integer": lambda p: _header("{'descr': '|u1', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",)}"),
    "dates": lambda p: _array(np.zeros(12, "M8[s]")),
    "texts": lambda p: _array(np.array(["<script>"] * 12)),
    "no rows": lambda p: _array(np.zeros((0, 4, 4, 3), np.uint8)),
    "many axes": lambda p: _array(np.zeros((1,) * 32, np.uint8)),
    "nan": lambda p: _array(np.full((12, 8, 8, 3), np.nan)),
    "version 9": lambda p: b"\x93NUMPY\x09\x00" + b"\0" * 64,
}


def _put_npz(name: str, place: Place) -> list[list[str]]:
    path = place.input / "d.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("x_train.npy", _NPZ[name](place))
        archive.writestr("y_train.npy", _array(np.arange(12) % 3))
        archive.writestr("../../canary.npy", _array([0]))
    return _data_commands(str(path))


def _put_npz_damage(where: float, value: int, place: Place) -> list[list[str]]:
    out = io.BytesIO()
    np.savez(out, x_train=np.zeros((12, 8, 8, 3), np.uint8), y_train=np.arange(12) % 3)
    content = bytearray(out.getvalue())
    content[int(where * len(content))] = value
    (place.input / "d.npz").write_bytes(content)
    return _data_commands(str(place.input / "d.npz"))


def _data_commands(path: str) -> list[list[str]]:
    demo = str(FIXTURES.parent.parent / "edgecut" / "demo_data" / "recipe.toml")
    return [["plan", demo, "--data", path], ["plan", demo, "--data", path, "--kind", "arrays"]]


CASES: Sequence[Callable[[random.Random], Iterator[Case]]] = (external_cases, onnx_cases, tflite_cases, npz_cases)
