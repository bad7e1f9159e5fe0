"""What a head is fitted on: what the float file puts out in front of it, run as a device runs it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from edgecut.errors import ExportError, RequestError
from edgecut.export.agreeing import converted
from edgecut.export.refitted import head_input, takes_head, with_head
from edgecut.export.tflite import traced_once
from edgecut.graph.predict import predict
from edgecut.head.attach import head_behind
from edgecut.images.feed import Feed
from edgecut.pipeline.run_file import predict_file
from edgecut.pipeline.values import FloatFile
from edgecut.records.progress import Progress
from edgecut.records.recipe import Head
from edgecut.runtime.files import FileRunner
from edgecut.tflite.cut import cut_tensors


def float_file(body: keras.Model, head: Head, scratch: Path) -> FloatFile | None:
    """The float file of a pooled body with a head whose numbers a fit replaces, traced into a folder of its own.

    They are seeded, and none is zero, since the converter leaves out what adds nothing. None where the converter
    refuses the model, or makes something else of the head: whoever writes its files says why.
    """
    features = body.outputs[0].shape[-1]
    if features is None:
        return None
    random = np.random.default_rng(0)
    kernel = random.uniform(-1, 1, (features, head.classes)).astype("float32") / np.float32(np.sqrt(features))
    bias = random.uniform(-1, 1, head.classes).astype("float32")
    model = head_behind(body, head.classes, (), head.activation, kernel=kernel, bias=bias)
    try:
        saved_model = traced_once(model, scratch, "float32")
        content = converted(saved_model, model, "float32")
    except (ExportError, RequestError):
        return None
    is_known = head_input(content) is not None and takes_head(content, kernel, bias)
    return FloatFile(content, saved_model, kernel, bias) if is_known else None


def features_of(
    body: keras.Model, file: FloatFile | None, pixels: np.ndarray, feed: Feed, scratch: Path, progress: Progress
) -> np.ndarray:
    """The features (n, d), float32, that a file's head takes; those of the pooled body in Keras without a file."""
    taken = None if file is None else head_input(file.content)
    if file is None or taken is None:
        return predict(body, pixels, feed.values, title="features", progress=progress)
    runner = runner_of(cut_tensors(file.content, [taken]), scratch / "features.tflite")
    return predict_file(runner, pixels, feed, title="features", progress=progress)


def with_weights(file: FloatFile, model: keras.Model) -> FloatFile:
    """The file with the head of a model that is its own in all but that."""
    return replace(file, content=with_head(file.content, *head_weights(model)))


def runner_of(content: bytes, path: Path) -> FileRunner:
    """A file's content, written to `path` and loaded."""
    path.write_bytes(content)
    return FileRunner(path)


def head_weights(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (features, classes) and bias (classes,) of a model's last Dense layer."""
    dense = next(layer for layer in reversed(model.layers) if isinstance(layer, keras.layers.Dense))
    kernel, bias = dense.get_weights()
    return kernel, bias
