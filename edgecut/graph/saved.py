"""A model file looked into without Keras: whether it can be one, and its layer names."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

from edgecut.errors import SourceError
from edgecut.records.bundle_files import model_hint
from edgecut.records.json_value import Json, JsonObject, items, table
from edgecut.records.lfs import POINTER, is_pointer_file
from edgecut.records.protobuf import fields
from edgecut.sandbox.hdf5 import read_texts

Kind = Literal["keras", "h5", "saved_model", "application", "tflite", "onnx"]

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
PREFIX = "keras:"
_LONGEST_JSON_BYTES = 64 << 20
_MOST_MEMBERS = 1000  # Keras unpacks each by itself; a model has a handful, and one more for each table of words
# Settings of layers that have at least as many weights, and what is never worth a look.
_COUNTS = ("units", "filters", "input_dim", "output_dim")
_FEW = 1 << 20


def kind_of(source: str) -> Kind:
    """What a model source is, by its content rather than its name.

    Raises SourceError if it is missing, empty, truncated or no model.
    """
    if source.startswith(PREFIX):
        application_arguments(source)
        return "application"
    path = Path(source)
    if not path.exists():
        said = "give a .keras, .h5 or .onnx file, or keras:NAME such as keras:MobileNetV2"
        raise SourceError(f"{source}: no such file; {said}")
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return "saved_model"
        hint = model_hint(path, ".keras")
        raise SourceError(f"{source}: is a folder without saved_model.pb; give a .keras, .h5 or .onnx file{hint}")
    if not path.is_file():
        raise SourceError(f"{source}: is a pipe or a device; give a .keras, .h5 or .onnx file")
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except PermissionError as exc:
        raise SourceError(f"{source}: can't be read (permission denied)") from exc
    if not head:
        raise SourceError(f"{source}: is empty; give a .keras, .h5 or .onnx file")
    if is_pointer_file(path):
        raise SourceError(f"{source}: {POINTER}")
    if head.startswith(b"PK"):
        _archive(path)
        return "keras"
    if head.startswith(HDF5_MAGIC):
        return "h5"
    if head[4:8] == b"TFL3":
        return "tflite"
    if path.suffix.lower() == ".onnx":
        return "onnx"
    raise SourceError(f"{source}: is no Keras model (neither a .keras archive nor an HDF5 file)")


def config_of(source: str) -> dict[str, Json] | None:
    """The model's configuration as saved in the file; None where the source holds none.

    Raises SourceError as kind_of() does, and if the configuration can't be read.
    """
    kind = kind_of(source)
    if kind == "keras":
        return _archive(Path(source))
    if kind == "h5":
        return _h5_config(Path(source))
    if kind == "saved_model":
        return _saved_model_config(Path(source))
    return None


def configs_of(source: str) -> tuple[dict[str, Json], ...]:
    """All configurations that a file holds: the model's, and in a SavedModel of Keras 2 those of its objects, too.

    Raises SourceError as config_of() does.
    """
    if kind_of(source) == "saved_model":
        return tuple(config for _, config in _saved_objects(Path(source)))
    config = config_of(source)
    return () if config is None else (config,)


def keras_version(source: str) -> str | None:
    """The version of Keras that wrote a file, such as "2.15.0"; None where the source doesn't say.

    Raises SourceError as kind_of() does, and if the file is damaged.
    """
    kind, path = kind_of(source), Path(source)
    if kind == "keras":
        metadata = _member(path, "metadata.json")
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
        return str(version) if version is not None else None
    if kind == "h5":
        return read_texts(path).get("keras_version") or None
    return None


def layer_names(config: dict[str, Json]) -> tuple[str, ...]:
    """The names that layers of a saved model have, "outer.inner" inside nested models; operators included."""
    return tuple(dict.fromkeys(_names(config, "")))


def lambda_names(config: dict[str, Json]) -> tuple[str, ...]:
    """The names of the Lambda layers in a saved model's configuration: layers that carry code."""
    found = (layer.get("config") for layer in objects_in(config) if layer["class_name"] == "Lambda")
    return tuple(dict.fromkeys(str(facts.get("name") if isinstance(facts, dict) else None) for facts in found))


def overclaim(source: str, config: dict[str, Json]) -> str | None:
    """A layer of a .keras or .h5 file that has more units or filters than the file has room for weights, in words.

    Keras makes the layers before it looks at the weights. A weight has at least four bits. None if there is no such.
    """
    path = Path(source)
    room = 2 * path.stat().st_size
    if kind_of(source) == "keras":
        with zipfile.ZipFile(path) as archive:
            room = 2 * sum(member.file_size for member in archive.infolist())
    for entry in objects_in(config):
        settings = entry.get("config")
        facts = settings if isinstance(settings, dict) else {}
        for key in _COUNTS:
            count = facts.get(key)
            if isinstance(count, int) and count > max(room, _FEW):
                return f"layer {facts.get('name')!r} has {key} = {count:,}, for which the file holds too few weights"
    return None


def objects_in(value: Json) -> Iterator[dict[str, Json]]:
    """The objects in a saved model's configuration, in whatever they lie: tables with a "class_name"."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        for child in value.values():
            yield from objects_in(child)
    elif isinstance(value, list):
        for child in value:
            yield from objects_in(child)


def application_arguments(source: str) -> tuple[str, dict[str, Json]]:
    """("MobileNetV2", {"alpha": 0.35, ...}) from "keras:MobileNetV2?alpha=0.35&input_shape=96,96,3&weights=none".

    Raises SourceError if the text isn't of that form.
    """
    name, _, query = source.removeprefix(PREFIX).partition("?")
    if not name.isidentifier():
        raise SourceError(f"{source}: a model's name is expected after {PREFIX!r}, such as keras:MobileNetV2")
    arguments: dict[str, Json] = {}
    try:
        for key, value in parse_qsl(query, strict_parsing=True, keep_blank_values=True) if query else ():
            arguments[key] = _value(value)
    except ValueError as exc:
        raise SourceError(f"{source}: 'key=value' pairs joined by '&' are expected after '?'") from exc
    return name, arguments


def _value(text: str) -> Json:
    if "," in text:
        return tuple(_value(part) for part in text.split(",") if part)
    constants = {"none": None, "true": True, "false": False}
    if text.lower() in constants:
        return constants[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _archive(path: Path) -> dict[str, Json]:
    config = _member(path, "config.json")
    if config is None:
        raise SourceError(f"{path}: is a ZIP archive without config.json, so no .keras model")
    if not isinstance(config, dict):
        raise SourceError(f"{path}: its config.json describes no model; fetch or save it again")
    return config


def _member(path: Path, name: str) -> Json:
    """What a JSON file within an archive holds; None if it isn't there. Raises SourceError if it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            count = len(archive.namelist())
            if count > _MOST_MEMBERS:
                raise SourceError(
                    f"{path}: its archive has {count:,} members, and at most {_MOST_MEMBERS:,} are read; get the file "
                    "from a source that you trust"
                )
            if name not in archive.namelist():
                return None
            size = archive.getinfo(name).file_size
            if size > _LONGEST_JSON_BYTES:
                raise SourceError(
                    f"{path}: its {name} unpacks to {size:,} bytes, and at most {_LONGEST_JSON_BYTES:,} are read; "
                    "get the file from a source that you trust"
                )
            return json.loads(archive.read(name))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as exc:
        raise SourceError(f"{path}: is truncated or damaged ({exc}); fetch or save it again") from exc


def _saved_model_config(folder: Path) -> dict[str, Json] | None:
    """The model's configuration in a SavedModel; None where Keras 2 didn't write it, or it has no layers."""
    config = next((config for path, config in _saved_objects(folder) if path == b"root"), None)
    return config if config is not None and isinstance(config.get("config"), dict) else None


def _saved_objects(folder: Path) -> list[tuple[bytes, dict[str, Json]]]:
    """(path within the model, configuration) of the objects in keras_metadata.pb, which Keras 2 writes.

    The file is a SavedMetadata message: field 1 holds its objects, whose field 3 is the path within the model and
    field 5 the object's metadata as JSON (tf_keras/protobuf/saved_metadata.proto).
    """
    path = folder / "keras_metadata.pb"
    if not path.is_file():
        return []
    try:
        objects = [dict(fields(content)) for number, content in fields(path.read_bytes()) if number == 1]
        found = [(bytes(item.get(3, b"")), json.loads(bytes(item[5]))) for item in objects if 5 in item]
    except (KeyError, ValueError, RecursionError) as exc:
        raise SourceError(f"{path}: is truncated or damaged ({exc}); fetch or save it again") from exc
    return [(where, config) for where, config in found if isinstance(config, dict)]


def _h5_config(path: Path) -> dict[str, Json] | None:
    text = read_texts(path).get("model_config")
    if text is None:
        raise SourceError(
            f"{path}: holds weights without a model (no model_config); save the whole model with model.save()"
        )
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise SourceError(f"{path}: is truncated or damaged ({exc}); fetch or save it again") from exc
    return config if isinstance(config, dict) else None


def _names(config: JsonObject, prefix: str) -> Iterator[str]:
    for layer in map(table, items(table(config.get("config")).get("layers"))):
        settings = table(layer.get("config"))
        name = layer.get("name") or settings.get("name")
        if not name:
            continue
        if isinstance(settings.get("layers"), list):
            yield from _names(layer, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
