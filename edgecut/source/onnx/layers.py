"""The layers that Keras lacks: a weight that is added, multiplied, or put out by itself. Registered under "edgecut"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

_register = keras.saving.register_keras_serializable(package="edgecut")


class _WithWeight(keras.layers.Layer):
    """A layer with one weight. shape: of the weight, without the batch."""

    initializer = "zeros"

    def __init__(self, shape: Sequence[int], **options: Any) -> None:
        """shape: it broadcasts against the input's last dimensions."""
        super().__init__(**options)
        self.shape = tuple(int(size) for size in shape)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the weight."""
        self.weight = self.add_weight(shape=self.shape, initializer=self.initializer, name="weight")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same layer."""
        return {**super().get_config(), "shape": self.shape}


@_register
class AddWeight(_WithWeight):
    """x + weight, such as the embedding of positions."""

    def call(self, x: Any) -> Any:
        """The sum, of the shape that the two broadcast to."""
        return keras.ops.add(x, self.weight)


@_register
class MultiplyWeight(_WithWeight):
    """x * weight, such as the scale of a residual branch."""

    initializer = "ones"

    def call(self, x: Any) -> Any:
        """The product, of the shape that the two broadcast to."""
        return keras.ops.multiply(x, self.weight)


@_register
class Weight(_WithWeight):
    """The weight itself for each element of the batch, such as a class token; the input gives the batch alone."""

    def call(self, x: Any) -> Any:
        """(batch, *shape)."""
        batch = keras.ops.shape(x)[0]
        return keras.ops.broadcast_to(self.weight[None], (batch, *self.shape))

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """(batch, *shape)."""
        return (input_shape[0], *self.shape)


REGISTERED = {f"edgecut>{layer.__name__}": layer for layer in (AddWeight, MultiplyWeight, Weight)}
"""What Keras needs to read a saved import."""
