"""The source model's own values, layer by layer, on the images that a quantized file is explained with."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from edgecut.graph.calls import calls
from edgecut.graph.proof import call_flat
from edgecut.graph.rebuild import rebuild
from edgecut.quantize.explain import Reference
from edgecut.quantize.names import LayerOutput, layer_tensors
from edgecut.tflite.flatbuffer import parse

# What all values of all layers may take up; fewer images are used where they would take more.
VALUES_BYTES = 600_000_000
_BATCH = 8


def layer_outputs(model: keras.Model) -> tuple[LayerOutput, ...]:
    """Every call of a model that puts out one tensor, in calling order, model inputs left out."""
    return tuple(
        LayerOutput(call.name, call.outputs[0].shape, call.type)
        for call in calls(model) if not call.is_input and len(call.outputs) == 1
    )  # fmt: skip


def images_that_fit(model: keras.Model, wanted: int) -> int:
    """How many images' values of all layers may be held at once, at most `wanted`, at least 4."""
    sizes = [int(np.prod([s or 1 for s in layer.shape[1:]])) for layer in layer_outputs(model)]
    return max(4, min(wanted, VALUES_BYTES // max(1, 8 * sum(sizes))))


def reference(model: keras.Model, content: bytes, images: np.ndarray) -> Reference:
    """The values of those layers that a .tflite file has, over images (n, ...) as the model takes them."""
    outputs = layer_outputs(model)
    names = list(dict.fromkeys(layer_tensors(parse(content, "model"), outputs).values()))
    return Reference(outputs, values_of(model, names, images))


def values_of(model: keras.Model, names: Sequence[str], images: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs of the named calls over images, float32, (n, ...)."""
    if not names:
        return {}
    graph = calls(model)
    inner = rebuild(graph, outputs=[graph.find(name).outputs[0] for name in names])
    parts: list[list[np.ndarray]] = [[] for _ in names]
    for first in range(0, len(images), _BATCH):
        results = keras.tree.flatten(call_flat(inner, [images[first : first + _BATCH]]))
        for part, result in zip(parts, results, strict=True):
            part.append(keras.ops.convert_to_numpy(result))
    return {name: np.concatenate(part) for name, part in zip(names, parts, strict=True)}
