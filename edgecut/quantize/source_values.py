"""What a quantized file is explained against: the source model's float file, and its layers' own values."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from edgecut.export.tflite import convert, write_saved_model
from edgecut.graph.callgraph import flat
from edgecut.graph.calls import calls
from edgecut.graph.proof import to_array, to_tensor, undisturbed
from edgecut.graph.rebuild import run
from edgecut.images.rows import columns
from edgecut.quantize.explain import Reference
from edgecut.quantize.names import LayerOutput
from edgecut.whole import scratch_folder

# What all values of all tensors may take up; fewer images are used where they would take more.
VALUES_BYTES = 600_000_000
# On so many images a layer's values prove which of the float file's tensors it puts out.
PROVING_IMAGES = 4
_BATCH = 8


def layer_outputs(model: keras.Model) -> tuple[LayerOutput, ...]:
    """Every call of a model that puts out one float tensor, in calling order, model inputs left out."""
    graph = calls(model)
    return tuple(
        LayerOutput(call.name, call.outputs[0].shape, call.type)
        for call in graph
        if not call.is_input
        and len(call.outputs) == 1
        and "float" in call.outputs[0].dtype
        and call.outputs[0] not in graph.mask_tensors
        and not call.outputs[0].sparse
    )


def images_that_fit(model: keras.Model, wanted: int) -> int:
    """How many images' values of all layers may be held at once, at most `wanted`, at least 4."""
    sizes = [int(np.prod([s or 1 for s in layer.shape[1:]])) for layer in layer_outputs(model)]
    return max(4, min(wanted, VALUES_BYTES // max(1, 8 * sum(sizes))))


def float_file(model: keras.Model) -> bytes:
    """The float .tflite file of a model. Raises ExportError or RequestError if there can be none."""
    with scratch_folder(prefix="edgecut-explain-") as folder:
        write_saved_model(model, folder / "float")
        return convert(folder / "float", model, "float32")


def reference(model: keras.Model, images: np.ndarray, float32: bytes | None = None) -> Reference:
    """What files of a model are explained against, over images (n, ...) as the model takes them.

    float32: the model's float file, where it is there already.
    """
    layers = layer_outputs(model)
    values = values_of(model, [layer.name for layer in layers], images[:PROVING_IMAGES])
    return Reference(float_file(model) if float32 is None else float32, images, layers, values)


def values_of(model: keras.Model, names: Sequence[str], images: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs of the named calls over images or rows, float32, (n, ...); the model is left as it was."""
    graph = calls(model)
    sources = flat(graph.inputs)
    tensors = [graph.find(name).outputs[0] for name in names]
    parts: list[list[np.ndarray]] = [[] for _ in names]
    with undisturbed(*(call.operation for call in graph if isinstance(call.operation, keras.Layer))):
        for first in range(0, len(images), _BATCH):
            batch = columns(images[first : first + _BATCH])
            fed = {source: to_tensor(x, source) for source, x in zip(sources, batch, strict=True)}
            for part, result in zip(parts, run(graph, fed, tensors), strict=True):
                part.append(to_array(result))
    return {name: np.concatenate(part) for name, part in zip(names, parts, strict=True)}
