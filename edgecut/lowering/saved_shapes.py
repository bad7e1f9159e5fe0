"""What a saved model takes and puts out, as far as its configuration tells it; without Keras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecut.graph.tensor import needed
from edgecut.lowering.dtypes import said_dtype
from edgecut.lowering.saved_calls import saved_calls
from edgecut.lowering.shapes import Shape
from edgecut.records.json_value import Json, JsonObject


@dataclass(frozen=True)
class SavedInput:
    """An input as the configuration says it. name: its layer's. shape: the batch first. dtype: of floats "float32"."""

    name: str
    shape: Shape
    dtype: str


def input_shapes(config: JsonObject, to: Sequence[str] = ()) -> tuple[Shape, ...] | None:
    """The shape of each input, the batch first; None where the configuration doesn't say it.

    to: only of the inputs that these layers need; () is the whole model.
    """
    inputs = saved_inputs(config, to)
    return None if inputs is None else tuple(each.shape for each in inputs)


def saved_inputs(config: JsonObject, to: Sequence[str] = ()) -> tuple[SavedInput, ...] | None:
    """Each input in the model's order, as input_shapes has the shapes."""
    saved = saved_calls(config)
    producer = {tensor: call for call in saved.calls for tensor in call.outputs}
    part = needed(producer, [tensor for name in to for tensor in saved.named.get(name, ())])
    inputs = [(producer[x], x.shape) for x in saved.inputs if not to or producer[x] in part]
    if not inputs or not all(shape for _, shape in inputs):
        return None
    return tuple(SavedInput(call.name, shape, _dtype(call.config.get("dtype"))) for call, shape in inputs)


def output_shapes(config: JsonObject, to: Sequence[str] = ()) -> tuple[Shape | None, ...]:
    """The shape of each output, sizes before the last one None; None where only the model tells; () if none is named.

    to: these layers put out, "outer.inner" in nested models; () is the whole model.
    """
    saved = saved_calls(config)
    if to:
        return tuple(_told(saved.named[name][0].shape) if saved.named.get(name) else None for name in to)
    return tuple(_told(tensor.shape) for tensor in saved.outputs)


def output_activations(config: JsonObject, to: Sequence[str] = ()) -> tuple[str, ...]:
    """The activation of the layer that makes each output, in lower case; "" where the configuration doesn't tell it.

    to: as in output_shapes.
    """
    saved = saved_calls(config)
    made = {tensor: call for call in saved.calls for tensor in call.outputs}
    ends = [(saved.named.get(name) or (None,))[0] for name in to] if to else list(saved.outputs)
    calls = [None if tensor is None else made.get(tensor) for tensor in ends]
    return tuple("" if call is None else call.activation if call.type != "Softmax" else "softmax" for call in calls)


def picture_shape(config: JsonObject) -> tuple[int | None, int | None, int] | None:
    """(height, width, channels) of the one picture that a saved model takes; None if it isn't said there."""
    shapes = input_shapes(config) or ()
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] is None:
        return None
    return shapes[0][1], shapes[0][2], shapes[0][3]


def _told(shape: Shape) -> Shape | None:
    """The number of dimensions and the last of them, which a stem of another size leaves as they are."""
    return (*(None,) * (len(shape) - 1), shape[-1]) if shape and shape[-1] is not None else None


def _dtype(said: Json) -> str:
    """The type of an input, which a file says as a word or as a policy."""
    name = said_dtype(said)
    return "float32" if "float" in name else name
