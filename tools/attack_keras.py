"""Hostile Keras files for tools/attack: gadgets in configurations, links in HDF5, tricks of zip archives."""

from __future__ import annotations

import base64
import io
import json
import marshal
import pickle
import random
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attack_case import DEMO, Case, Place, model_commands

Members = dict[str, bytes]
Json = dict[str, Any]


def keras_cases(rng: random.Random) -> Iterator[Case]:
    """Gadgets in the slots of a .keras file's layers."""
    for slot in ("class", "activation", "kernel_initializer", "kernel_regularizer", "bias_constraint", "dtype"):
        for name in GADGETS:
            yield Case("keras", f"{name} as {slot}", partial(_put_gadget, slot, name, "keras"))
    for name in ("compile", "assets", "bomb of config", "deep config", "huge filters", "huge input"):
        yield Case("keras", name, partial(_put_archive, name))


def h5_cases(rng: random.Random) -> Iterator[Case]:
    """The same in the .h5 files of Keras 2, and links and storage outside of HDF5 files, and flipped bytes."""
    for slot in ("class", "activation", "kernel_initializer"):
        for name in GADGETS:
            yield Case("h5", f"{name} as {slot}", partial(_put_gadget, slot, name, "h5"))
    for function in ("io.write_file", "io.read_file", "py_function", "raw_ops.WriteFile", "os.system"):
        yield Case("h5", f"TFOpLambda {function}", partial(_put_op_lambda, function))


def lambda_models(place: Place) -> None:
    """Writes lambda.keras and lambda.h5, whose code writes the canary."""
    for form in ("keras", "h5"):
        name = "lambda" if form == "keras" else "keras 2 lambda"
        _put_model(with_gadget(base()[0], "class", GADGETS[name](place)), form, place)
        (place.input / f"m.{form}").rename(place.input / f"lambda.{form}")


def _code(canary: str) -> str:
    code = compile(f"lambda x: (open({canary!r}, 'w'), x)[1]", "<gadget>", "eval").co_consts[0]
    return base64.b64encode(marshal.dumps(code)).decode()


class _Pickled:
    """What a hostile pickle does when it is loaded."""

    def __init__(self, canary: str) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.canary, "w"))


def _named(module: str | None, name: str, kind: str = "function") -> Json:
    config: Any = name if kind == "function" else {"name": "x"}
    return {"module": module, "class_name": kind, "config": config, "registered_name": kind}


def _lambda(place: Place) -> Json:
    code = {"class_name": "__lambda__", "config": {"code": _code(place.canary), "defaults": None, "closure": None}}
    return {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "x", "function": code}}


GADGETS: dict[str, Callable[[Place], Json]] = {
    "lambda": _lambda,
    "bare lambda": lambda p: {
        "class_name": "__lambda__",
        "config": {"code": _code(p.canary), "defaults": None, "closure": None},
    },
    "keras 2 lambda": lambda p: {
        "class_name": "Lambda",
        "config": {"name": "x", "function": [_code(p.canary), None, None], "function_type": "lambda", "module": "os"},
    },
    "os.system": lambda p: _named("os", "system"),
    "builtins.exec": lambda p: _named("builtins", "exec"),
    "subprocess": lambda p: {
        "module": "subprocess",
        "class_name": "Popen",
        "config": {"args": ["touch", p.canary]},
        "registered_name": None,
    },
    "get_file": lambda p: {
        "module": "keras.utils",
        "class_name": "get_file",
        "registered_name": None,
        "config": {"fname": p.canary, "origin": f"file://{p.secret}", "cache_dir": str(p.box)},
    },
    "load_model": lambda p: _named("keras.models", "load_model"),
    "unsafe switch": lambda p: _named("keras.config", "enable_unsafe_deserialization"),
    "unsafe switch inside": lambda p: {
        "module": "keras.src.saving.serialization_lib",
        "class_name": "enable_unsafe_deserialization",
        "config": {},
    },
    "module of this folder": lambda p: _named("evil", "run"),
    "torch pickle": lambda p: {
        "module": "keras.layers",
        "class_name": "TorchModuleWrapper",
        "config": {"name": "x", "module": base64.b64encode(pickle.dumps(_Pickled(p.canary))).decode()},
    },
    "SavedModel layer": lambda p: {
        "module": "keras.layers",
        "class_name": "TFSMLayer",
        "config": {"name": "x", "filepath": str(p.input / "saved")},
    },
    "vocabulary": lambda p: {
        "module": "keras.layers",
        "class_name": "StringLookup",
        "config": {"name": "x", "vocabulary": p.secret},
    },
    "lambda in a wrapper": lambda p: {
        "module": "keras.layers",
        "class_name": "TimeDistributed",
        "config": {"name": "x", "layer": _lambda(p)},
    },
    "lambda in a model": lambda p: {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "x", "layers": [_lambda(p)]},
    },
    "typespec": lambda p: {
        "class_name": "__typespec__",
        "module": "os",
        "spec_name": "system",
        "config": [f"touch {p.canary}"],
        "registered_name": None,
    },
    "numpy": lambda p: {"class_name": "__numpy__", "config": {"value": [[1] * 9] * 9, "dtype": "object"}},
    "partial": lambda p: {"module": "functools", "class_name": "partial", "config": {"func": "system"}},
}


def base() -> tuple[Json, Members]:
    """The beginning of the demo's model: its configuration, and the archive's other members."""
    with zipfile.ZipFile(DEMO / "cifar10_backbone.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members.pop("config.json"))
    config["config"]["layers"] = config["config"]["layers"][:4]
    config["config"]["output_layers"] = ["stem_relu", 0, 0]
    return config, members


def with_gadget(config: Json, slot: str, gadget: Json) -> Json:
    """The configuration with a gadget in place of its last layer ("class"), or in a slot of its convolution."""
    layers = config["config"]["layers"]
    if slot == "class":
        name, nodes = layers[3]["name"], layers[3]["inbound_nodes"]
        layers[3] = {"registered_name": None, "build_config": {}, **gadget, "name": name, "inbound_nodes": nodes}
        if isinstance(layers[3].get("config"), dict):
            layers[3]["config"] = {**layers[3]["config"], "name": name}
    else:
        layers[1]["config"][slot] = gadget
    return config


def archive_of(members: Members) -> bytes:
    """A .keras archive of these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def _put_gadget(slot: str, name: str, form: str, place: Place) -> list[list[str]]:
    config = with_gadget(base()[0], slot, GADGETS[name](place))
    (place.input / "evil.py").write_text(f"def run(x):\n    open({place.canary!r}, 'w')\nrun(0)\n")
    return _put_model(config, form, place)


def _put_model(config: Json, form: str, place: Place) -> list[list[str]]:
    path = place.input / f"m.{form}"
    if form == "keras":
        path.write_bytes(archive_of({"config.json": json.dumps(config).encode(), **base()[1]}))
    else:
        write_h5(path, config)
    return model_commands(path, place)


def write_h5(path: Path, config: Json) -> None:
    """Writes the model as Keras 2 did, with weights for its two layers. The configuration is changed."""
    import h5py

    for layer in config["config"]["layers"]:  # as Keras 2 wrote them
        nodes = [
            [[[edge["config"]["keras_history"][0], 0, 0, {}] for edge in node["args"]]]
            for node in layer.pop("inbound_nodes", [])
        ]
        layer["inbound_nodes"] = nodes[0] if nodes else []
        for key in ("build_config", "registered_name"):
            layer.pop(key, None)
        if isinstance(layer.get("config"), dict) and isinstance(layer["config"].get("dtype"), dict):
            layer["config"]["dtype"] = layer["config"]["dtype"].get("config", {}).get("name", "float32")
    config["config"]["input_layers"], config["config"]["output_layers"] = [["pixels", 0, 0]], [["stem_relu", 0, 0]]
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": config["config"]})
        file.attrs["keras_version"], file.attrs["backend"] = "2.15.0", "tensorflow"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"stem_conv", b"stem_bn"]
        sizes = {"stem_conv": {"kernel": (3, 3, 3, 16)}, "stem_bn": dict.fromkeys(_BATCH_NORMALIZATION, (16,))}
        for layer, arrays in sizes.items():
            group = weights.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}:0".encode() for name in arrays]
            for name, shape in arrays.items():
                group.create_dataset(f"{layer}/{name}:0", shape, "f4", fillvalue=0.5)


_BATCH_NORMALIZATION = ("gamma", "beta", "moving_mean", "moving_variance")


def _put_op_lambda(function: str, place: Place) -> list[list[str]]:
    config = base()[0]
    layers = config["config"]["layers"]
    layers[3] = {
        "class_name": "TFOpLambda",
        "name": "stem_relu",
        "inbound_nodes": [],
        "config": {"name": "stem_relu", "function": function},
    }
    commands = _put_model(config, "h5", place)
    import h5py

    with h5py.File(place.input / "m.h5", "r+") as file:
        saved = json.loads(file.attrs["model_config"])
        saved["config"]["layers"][3]["inbound_nodes"] = [["_CONSTANT_VALUE", -1, place.canary, {"contents": "x"}]]
        file.attrs["model_config"] = json.dumps(saved)
    return commands


def _put_archive(name: str, place: Place) -> list[list[str]]:
    config, members = base()
    layer = config["config"]["layers"][1]
    match name:
        case "compile":
            config["compile_config"] = {"optimizer": GADGETS["subprocess"](place), "loss": _lambda(place)}
        case "assets":
            members["assets/../../../canary"] = members["assets/stem_conv/x"] = b"x"
        case "huge filters":
            layer["config"]["filters"] = 1 << 40
        case "huge input":
            config["config"]["layers"][0]["config"]["batch_shape"] = [None, 1 << 20, 1 << 20, 3]
    members["config.json"] = json.dumps(config).encode()
    if name == "deep config":
        members["config.json"] = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    if name == "bomb of config":
        members["config.json"] += b" " * (1 << 30)
    path = place.input / "m.keras"
    path.write_bytes(archive_of(members))
    return model_commands(path, place)


CASES: Sequence[Callable[[random.Random], Iterator[Case]]] = (keras_cases, h5_cases)
