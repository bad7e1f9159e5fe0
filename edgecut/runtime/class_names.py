"""The names of the classes that a model file says itself, where it does."""

from __future__ import annotations

import ast
import json
import zipfile
import zlib
from pathlib import Path

from edgecut.runtime.onnx_graph import parse_onnx
from edgecut.runtime.specs import file_format
from edgecut.tflite.flatbuffer import read_content

# Associated files of a .tflite lie in a zip archive behind it (tensorflow.org/lite/models/convert/metadata); label
# files have a name to a line.
_LARGEST_BYTES = 1 << 20
_MOST_FILES = 64
# What exporters call them in an .onnx file's metadata_props: Ultralytics "names", torch exporters and others the rest.
_KEYS = ("names", "classes", "class_names", "labels")


def class_names(path: Path, counts: frozenset[int]) -> tuple[str, ...]:
    """The names in a .tflite or .onnx file, as many as one of its outputs has values; () where it has none of them.

    counts: how many values the outputs have; a single one lies between two classes. Raises SourceError for an .onnx
    file that can't be read.
    """
    found = _of_tflite(path) if file_format(path) == "tflite" else _of_onnx(path)
    fitting = counts | {2} if 1 in counts else counts
    return next((names for names in found if len(names) in fitting and all(names)), ())


def _of_tflite(path: Path) -> list[tuple[str, ...]]:
    try:
        if not zipfile.is_zipfile(path):
            return []
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist()[:_MOST_FILES] if each.filename.endswith(".txt")]
            texts = [archive.read(each).decode() for each in members if each.file_size <= _LARGEST_BYTES]
    except (OSError, zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, NotImplementedError, EOFError):
        return []  # bytes behind a model that are no archive are no names
    return [tuple(line.strip() for line in text.rstrip().splitlines()) for text in texts]


def _of_onnx(path: Path) -> list[tuple[str, ...]]:
    model = parse_onnx(read_content(path), str(path))
    texts = {row.key.lower(): row.value for row in model.metadata_props if len(row.value) <= _LARGEST_BYTES}
    return [names for key in _KEYS if key in texts and (names := _listed(texts[key]))]


def _listed(text: str) -> tuple[str, ...]:
    """The names in a JSON or Python list, a {place: name}, or words with commas."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            value = text.split(",") if "," in text else []
    if isinstance(value, dict):
        places = sorted(value, key=lambda key: int(key) if str(key).isdigit() else -1)
        if [str(key) for key in places] != [str(k) for k in range(len(places))]:
            return ()
        value = [value[key] for key in places]
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        return ()
    return tuple(name.strip() for name in value)
