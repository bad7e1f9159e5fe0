"""One call of a layer in plain values: the same from a live model and from a saved configuration; without Keras."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgecut.graph.tensor import Tensor
from edgecut.records.json_value import Json, JsonObject, items, table


class UnsaidError(Exception):
    """A layer's configuration doesn't say, in a form that its class understands, what a rule needs to know."""


@dataclass(frozen=True, eq=False)
class LayerCall:
    """A call of a layer or operation.

    name: "outer.inner" in a nested model, "layer@k" for the k-th call of a shared layer. type: the class' name.
    config: as the class' get_config() gives it and a saved model holds it; {} where it can't be told. args, kwargs:
    what it is called with, each Keras tensor replaced by its Tensor. inputs: the tensors in them, and masks that it
    takes besides. A shape of () is unknown. path: the layer's name, the same for all calls of a shared one. layer: its
    first path, where it has several. weights: their shapes in the layer's order; () where it has none, or where they
    aren't known, on which then only the operators' order depends. zeros: weights that are all zeros, as before
    training.
    """

    name: str
    type: str
    config: JsonObject
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    path: str = ""
    layer: str = ""
    weights: tuple[tuple[int, ...], ...] = ()
    zeros: frozenset[str] = frozenset()

    @property
    def is_input(self) -> bool:
        """Whether this is a model input rather than a computation."""
        return self.type == "InputLayer"

    @property
    def params(self) -> int:
        """The number of weights, trainable or not."""
        return sum(map(math.prod, self.weights))

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape of the first output."""
        return self.outputs[0].shape

    @property
    def activation(self) -> str:
        """The name of the layer's own activation, "linear" where it has none."""
        said = self.config.get("activation")
        if isinstance(said, Mapping):
            # A function of one's own or of another library, or a layer in an activation's place.
            function = said.get("config")
            said = function if isinstance(function, str) else said.get("class_name")
        return said if isinstance(said, str) else "linear"

    def number(self, key: str, default: int | None = None) -> int:
        """A whole number. Raises UnsaidError if it is none."""
        value = self.config.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise UnsaidError(f"{self.type}: {key} = {value!r}")
        return value

    def pair(self, key: str, default: int | None = None) -> tuple[int, int]:
        """Two whole numbers, or one for both. Raises UnsaidError if it is neither."""
        value = self.config.get(key, default)
        first, second = (value, value) if isinstance(value, int) else _two(items(value))
        if not isinstance(first, int) or not isinstance(second, int):
            raise UnsaidError(f"{self.type}: {key} = {value!r}")
        return first, second

    def sides(self, key: str) -> tuple[tuple[int, int], tuple[int, int]]:
        """What is added or cut off before and behind, along height and width. Raises UnsaidError if it isn't said."""
        value = self.config.get(key)
        if isinstance(value, int):
            return (value, value), (value, value)
        rows = [(row, row) if isinstance(row, int) else _two(items(row)) for row in items(value)]
        pairs = [(a, b) for a, b in rows if isinstance(a, int) and isinstance(b, int)]
        if len(pairs) != 2 or len(rows) != 2:
            raise UnsaidError(f"{self.type}: {key} = {value!r}")
        return pairs[0], pairs[1]

    def text(self, key: str, default: str = "") -> str:
        """A word. Raises UnsaidError if it is none."""
        value = self.config.get(key, default)
        if not isinstance(value, str):
            raise UnsaidError(f"{self.type}: {key} = {value!r}")
        return value

    def numbers(self, key: str) -> tuple[int, ...]:
        """Whole numbers in a row; one alone is such a row, too. Raises UnsaidError if they aren't."""
        value = self.config.get(key)
        row = (value,) if isinstance(value, int) else items(value)
        numbers = tuple(x for x in row if isinstance(x, int))
        if not numbers or len(numbers) != len(row):
            raise UnsaidError(f"{self.type}: {key} = {value!r}")
        return numbers

    @property
    def is_channels_first(self) -> bool:
        """Whether the channels are the axis behind the batch."""
        return self.config.get("data_format") == "channels_first"


def channels(call: LayerCall) -> int:
    """The channels of what a layer reads; an open or unknown size counts as 1."""
    shape = call.inputs[0].shape
    axis = 1 if call.is_channels_first else -1
    return int((shape[axis] if len(shape) > 1 else 0) or 1)


def setting(layer: JsonObject, key: str) -> Json:
    """A setting of a saved layer; None where it has none."""
    return table(layer.get("config")).get(key)


def _two(values: Sequence[Json]) -> tuple[Json, Json]:
    return (values[0], values[1]) if len(values) == 2 else (None, None)
