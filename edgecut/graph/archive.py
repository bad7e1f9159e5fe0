"""A Keras model as a .keras file of which the same model gives the same bytes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras

from edgecut.errors import StepError
from edgecut.graph.sentences import telling_line
from edgecut.records.json_value import Json
from edgecut.streams import caught_output

# What a zip archive begins to count at; Keras writes the time of saving.
_DATE = "1980-01-01@00:00:00"
# Objects without a state, which are the same whether shared or not.
_STATELESS = ("keras.initializers", "keras.regularizers", "keras.constraints", "keras.dtype_policies", "keras")
SAVING_FAULTS = (TypeError, ValueError, NotImplementedError, KeyError, AttributeError)


def write_archive(model: keras.Model, path: Path) -> None:
    """Write a model to a .keras file. Raises StepError if Keras can't save it."""
    try:
        with caught_output():
            model.save(path)
    except SAVING_FAULTS as exc:
        raise StepError(f"{path.name}: Keras can't save the model: {telling_line(exc)}") from exc
    settle(path)


def settle(path: Path) -> None:
    """Take out of a .keras file what isn't the model: times of saving, and addresses in memory."""
    partial = path.with_name(f".{path.name}.settled")
    try:
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(partial, "w") as target:
            for name in sorted(source.namelist()):
                with source.open(name) as content, target.open(zipfile.ZipInfo(name), "w", force_zip64=True) as file:
                    if name == "metadata.json":
                        file.write(json.dumps({**json.load(content), "date_saved": _DATE}).encode())
                    elif name == "config.json":
                        file.write(json.dumps(_numbered(json.load(content), {})).encode())
                    else:
                        while chunk := content.read(1 << 20):
                            file.write(chunk)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _numbered(config: Json, numbers: dict[int, int]) -> Json:
    """The configuration with objects that are shared numbered as they come, in place of their addresses."""
    if isinstance(config, list):
        return [_numbered(part, numbers) for part in config]
    if not isinstance(config, dict):
        return config
    found = {key: value for key, value in config.items() if key != "shared_object_id"}
    address = config.get("shared_object_id")
    if address is not None and config.get("module") not in _STATELESS:
        found["shared_object_id"] = numbers.setdefault(address, len(numbers) + 1)
    return {key: value if key == "shared_object_id" else _numbered(value, numbers) for key, value in found.items()}
