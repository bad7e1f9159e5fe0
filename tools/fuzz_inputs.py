"""Hostile and broken files for tools/fuzz.py, by kind: hypothesis strategies that write one input into a folder.

Each kind is a Surface: the strategy of its inputs, how one is written, and the commands that read it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import tomllib
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from edgecut.records.toml_text import toml_text
from edgecut.tflite.pack import packed, unpacked

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "edgecut" / "demo_data"
FIXTURES = ROOT / "tests" / "fixtures"
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


@dataclass(frozen=True)
class Surface:
    """One kind of input. put: (folder, input) -> the path; commands: path -> command lines of edgecut."""

    inputs: st.SearchStrategy[Any]
    put: Callable[[Path, Any], Path]
    commands: Callable[[Path], Sequence[Sequence[str]]]
    share: float
    heavy: bool = False


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


def surfaces(bundle: Path) -> Mapping[str, Surface]:
    """All kinds by name. bundle: a sound bundle, which is copied and damaged."""
    recipe = tomllib.loads((DEMO / "recipe.toml").read_text())
    full = {**recipe, "cut": {"from": "stem_relu", "drop": ["a..b"], "replace": [{"range": "a..b", "with": "f"}]}}
    profiles = [
        path.read_bytes().replace(f'id = "{path.stem}"'.encode(), b'id = "device"')
        for path in sorted((ROOT / "profiles").glob("*.toml"))[::6]
    ]
    model = (DEMO / "cifar10_backbone.keras").read_bytes()
    return {
        "recipe": Surface(
            damaged([(DEMO / "recipe.toml").read_bytes()]) | altered([recipe, full]).map(_toml) | beyond_toml(),
            lambda folder, content: _write_beside_the_demo(folder / "recipe.toml", content),
            lambda path: [["plan", str(path), "--json"]], .25,
        ),
        "profile": Surface(
            damaged(profiles) | altered([tomllib.loads(p.decode()) for p in profiles]).map(_toml) | beyond_toml(),
            lambda folder, content: _write(folder / "device.toml", content),
            lambda path: [["profile", "check", str(path)], ["profile", "show", str(path), "--json"]], .15,
        ),
        "tflite": Surface(
            damaged([path.read_bytes() for path in sorted(FIXTURES.glob("*.tflite"))], 2)
            | altered_tflite([path.read_bytes() for path in sorted(FIXTURES.glob("*.tflite"))]),
            lambda folder, content: _write(folder / "m.tflite", content),
            _inspected_and_run, .2,
        ),
        "onnx": Surface(
            damaged([path.read_bytes() for path in sorted(FIXTURES.glob("*.onnx"))], 2)
            | altered_onnx([path.read_bytes() for path in [*sorted(FIXTURES.glob("*.onnx")), *_node_tests()]]),
            lambda folder, content: _write(folder / "m.onnx", content),
            _inspected_and_run, .1,
        ),
        "npz": Surface(
            damaged([_npz()]) | archives(),
            lambda folder, content: _write(folder / "d.npz", content),
            lambda path: [
                ["plan", str(DEMO / "recipe.toml"), "--data", str(path)],
                ["fuzz-data", str(path)],
            ], .1,
        ),
        "image": Surface(
            damaged(_pictures(), 3) | st.sampled_from(_bombs())
            | st.sampled_from(["pipe", "loop", "nowhere", "folder"]),
            lambda folder, content: _class_folders(folder, content),
            lambda path: [["fuzz-data", str(path)]], .1,
        ),
        "bundle": Surface(
            st.one_of(*(st.tuples(st.just(name), altered([json.loads((bundle / name).read_bytes())]))
                        for name in ("manifest.json", "report.json", "vectors/vectors.json")))
            | st.tuples(st.sampled_from(["link", "outside", "recipe"]), st.sampled_from(WORDS))
            | st.one_of(*(st.tuples(st.just(path.relative_to(bundle).as_posix()), damaged([path.read_bytes()]))
                          for path in sorted((bundle / "models").iterdir()))),
            lambda folder, content: _bundle(folder, bundle, *content),
            lambda path: [["verify", str(path)]], .05,
        ),
        "keras": Surface(
            damaged([model]) | model_archives(model),
            lambda folder, content: _write(folder / "m.keras", content),
            lambda path: [["inspect", str(path), "--json"]], .1, heavy=True,
        ),
    }  # fmt: skip


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
        return _npy(np.zeros(dims, np.dtype(dtype)))
    if kind == "pickle":
        return _npy(np.array([_Payload()], dtype=object))
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


class _Payload:
    """What a hostile pickle does when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (CANARY, "w"))


def _npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, allow_pickle=True)
    return out.getvalue()


def _header(fields: Mapping[str, Any]) -> bytes:
    text = repr(dict(fields)).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _npz() -> bytes:
    rng = np.random.default_rng(0)
    out = io.BytesIO()
    pixels = rng.integers(0, 256, (12, 8, 8, 3), np.uint8)
    np.savez(out, x_train=pixels, y_train=np.arange(12) % 3, x_test=pixels, y_test=np.arange(12) % 3)
    return out.getvalue()


def _pictures() -> list[bytes]:
    rng = np.random.default_rng(0)
    found = []
    colour = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "JPEG2000", "ICO", "DIB", "AVIF")
    for shape, kinds in (((8, 9, 3), colour), ((8, 9), ("PNG", "PPM", "TIFF", "JPEG2000"))):
        for kind in kinds:
            out = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(out, kind)
            found.append(out.getvalue())
    return found


def _bombs() -> list[bytes]:
    """PNG files of a few bytes that claim, or hold, very many pixels; and a pickle named as a picture."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    def png(width: int, height: int, rows: int) -> bytes:
        lines = zlib.compress(bytes((width + 1) * rows), 9)
        start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", lines) + chunk(b"IEND", b"")

    return [png(2**31 - 1, 2**31 - 1, 0), png(30000, 30000, 1), png(12000, 12000, 100), png(0, 0, 0), png(1, 1, 1),
            pickle.dumps(_Payload())]  # fmt: skip


def _class_folders(folder: Path, content: bytes | str) -> Path:
    sound = _pictures()[0]
    for name in ("one", "two"):
        (folder / "images" / name).mkdir(parents=True)
        for k in range(3):
            (folder / "images" / name / f"{k}.png").write_bytes(sound)
    path = folder / "images" / "one" / "9.png"
    match content:
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(folder / "images")
        case "nowhere":
            path.symlink_to("nowhere")
        case "folder":
            path.mkdir()
        case bytes():
            path.write_bytes(content)
    return folder / "images"


def _bundle(folder: Path, sound: Path, what: str, value: Any) -> Path:
    copy = folder / "bundle"
    shutil.copytree(sound, copy)
    if what == "link":
        target = copy / "labels.txt"
        target.unlink()
        target.symlink_to("/etc/hostname" if value else ".")
    elif what == "outside":
        manifest = json.loads((copy / "manifest.json").read_bytes())
        manifest["files"].append({"path": f"../{value}", "sha256": "0" * 64, "size_bytes": 0})
        _write(copy / "manifest.json", json.dumps(manifest).encode())
    elif what == "recipe":
        _write(copy / "recipe.toml", value.encode())
    else:
        _write(copy / what, value if isinstance(value, bytes) else json.dumps(value).encode())
    _seal(copy)
    return copy


def _seal(bundle: Path) -> None:
    """Makes the hashes true again, as a forger would."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_bytes())
    files = manifest.get("files") if isinstance(manifest, dict) else None
    for entry in files if isinstance(files, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("path"), str) and entry["path"].isprintable():
            file = bundle / entry["path"]
            if len(entry["path"]) < 200 and bundle in file.resolve().parents and file.is_file():
                entry["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
                entry["size_bytes"] = file.stat().st_size
    path.write_bytes(json.dumps(manifest).encode())
    (bundle / "manifest.sha256").write_bytes(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  manifest.json\n".encode()
    )


def _inspected_and_run(path: Path) -> list[list[str]]:
    """inspect and two cuts, which run the whole file; of some files also what takes seconds."""
    part, name = path.with_stem("part"), str(path)
    commands = [
        ["inspect", name, "--json"],
        ["cut", name, "--to", "0", "-o", str(part)],
        ["cut", name, "--from", "0", "-o", str(part.with_stem("tail"))],
    ]
    if path.suffix == ".tflite":
        commands.append(["export", name, "--format", "c", "-o", str(path.with_name("plain_c"))])
    match hashlib.sha256(path.read_bytes()).digest()[0] % 16:
        case 0:
            commands.append(["bench", name, "--runs", "1", "--warmup", "0", "--profile", "esp32s3-esp-tflite-micro"])
        case 1:
            commands.append(["compare", str(FIXTURES / f"tiny.int8{path.suffix}"), name])
    return commands


def _node_tests() -> list[Path]:
    """The smaller models of ONNX's own operator tests, one of each kind of operator and more."""
    import onnx

    tests = Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"
    return [path for path in sorted(tests.glob("*/model.onnx"))[::4] if path.stat().st_size < 20_000]


def _toml(tables: Any) -> bytes:
    # What TOML can't say (null in a list) is left as noise.
    try:
        return toml_text(tables).encode(errors="replace")
    except (TypeError, AttributeError):
        return repr(tables).encode(errors="replace")


def _write_beside_the_demo(path: Path, content: bytes) -> Path:
    for file in DEMO.iterdir():
        (path.parent / file.name).symlink_to(file)
    path.unlink(missing_ok=True)
    return _write(path, content)


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
