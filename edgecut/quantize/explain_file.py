"""A written file explained against its source model on the device's pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import keras
import numpy as np

from edgecut.errors import RequestError
from edgecut.images.device import model_input
from edgecut.images.preprocess import normalize
from edgecut.quantize.explain import explain
from edgecut.quantize.feeding import feeding_suspicions, range_suspicions
from edgecut.quantize.source_values import images_that_fit, reference
from edgecut.records.explanation import Explanation
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Preprocess
from edgecut.stem.edit import stem
from edgecut.tflite.flatbuffer import TfliteGraph, parse, read_content

IMAGES = 32


def picture_shape(graph: TfliteGraph, where: str) -> tuple[int, int, int]:
    """(height, width, channels) of the pictures that a file takes. Raises RequestError if it takes none."""
    shapes = [graph.tensors[i].shape for i in graph.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise RequestError(f"{where}: takes {shapes}, and one picture (1, height, width, channels) is expected")
    return shapes[0][1], shapes[0][2], shapes[0][3]


def explain_file(
    path: Path,
    source: keras.Model,
    pixels: np.ndarray,
    preprocess: Preprocess = "none",
    pixels_mode: Literal["normalized", "raw"] = "normalized",
    *,
    progress: Progress = SILENT,
) -> Explanation:
    """A quantized .tflite file against the model that it was made of, on pictures (n, height, width, channels), uint8.

    source: may take more than the file: what was cut off isn't looked at, and its stem is fitted to the file's
    channels and size. pixels_mode: what the file takes; the source gets the preprocessing that it was trained on,
    or the same raw pixels if preprocess is "none". At most 32 images are used.
    Raises RequestError or SourceError for files and models that can't be compared.
    """
    content = read_content(path)
    graph = parse(content, str(path))
    shape = picture_shape(graph, str(path))
    fitted = _fitted(source, shape, preprocess)
    pixels = pixels[: images_that_fit(fitted, IMAGES)]
    fed, wanted = model_input(pixels, preprocess, pixels_mode), normalize(pixels, preprocess)
    suspicions = feeding_suspicions(fitted, pixels, preprocess)
    tensor = graph.tensors[graph.inputs[0]]
    if len(tensor.scales) == 1 and not suspicions:
        info = np.iinfo(tensor.dtype)
        low, high = ((int(x) - tensor.zero_points[0]) * tensor.scales[0] for x in (info.min, info.max))
        given: Preprocess = "raw" if pixels_mode == "raw" else preprocess
        suspicions = range_suspicions((low, high), pixels, given, path.name)
    with progress.task("running the source model"):
        values = reference(fitted, wanted)
    return explain(content, path.name, fed, values, suspicions=suspicions, progress=progress)


def explain_arrays(path: Path, source: keras.Model, rows: np.ndarray, *, progress: Progress = SILENT) -> Explanation:
    """A quantized .tflite file against its model on rows (images/rows.py), as both take them; at most 32 are used.

    Raises as explain_file does.
    """
    content = read_content(path)
    graph = parse(content, str(path))
    taken = [graph.tensors[index].shape[1:] for index in graph.inputs]
    own = [tuple(tensor.shape[1:]) for tensor in source.inputs]
    if taken != own:
        raise RequestError(
            f"--source: {source.name!r} takes {own}, and the file {taken}; give the model it was made of"
        )
    rows = rows[: images_that_fit(source, IMAGES)]
    with progress.task("running the source model"):
        values = reference(source, rows)
    return explain(content, path.name, rows, values, progress=progress)


def _fitted(source: keras.Model, shape: tuple[int, int, int], preprocess: Preprocess) -> keras.Model:
    """The source model for pictures of the file's shape."""
    if len(source.inputs) != 1 or len(source.inputs[0].shape) != 4:
        raise RequestError(f"--source: {source.name!r} takes {[tuple(x.shape) for x in source.inputs]}, and no picture")
    have = tuple(source.inputs[0].shape[1:])
    if have == shape:
        return source
    channels = shape[2] if have[2] != shape[2] else None
    size = shape[:2] if have[:2] != shape[:2] else None
    if channels not in (None, 1, 3):
        raise RequestError(f"--source: {source.name!r} takes {have[2]} channels, and the file {shape[2]}")
    return stem(source, channels=channels, size=size, preprocess=preprocess).model
