"""A configuration that says anything at all is read without a fault: what it doesn't say stays unknown."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from edgecut.lowering.expected_operators import expected_operators
from edgecut.lowering.saved_calls import saved_calls, unknown_layers
from edgecut.lowering.saved_shapes import input_shapes, output_shapes, picture_shape
from tests.saved_models import functional, layer

JUNK = (None, 0, -1, 2**40, "", "gelu", [], {}, [0, 0], [None], ["image", 0, 0], [[1, 2], [3, 4]], True, 1.5)
INNER = functional([layer("InputLayer", "x", batch_shape=[None, None, None, 8]), layer("Silu", "silu", "x")])
MODEL = functional([
    layer("InputLayer", "image", batch_shape=[None, 16, 16, 3]),
    layer("ZeroPadding2D", "pad", "image", padding=[[1, 1], [1, 1]]),
    layer("Conv2D", "conv", "pad", filters=8, kernel_size=[3, 3], strides=[2, 2], groups=1),
    {**INNER, "name": "inner", "inbound_nodes": layer("x", "x", "conv")["inbound_nodes"]},
    layer("LayerNormalization", "norm", "inner", axis=[-1]), layer("Tile", "tile", "norm"),
    layer("Reshape", "tokens", "norm", target_shape=[-1, 8]), layer("Permute", "turned", "tokens", dims=[2, 1]),
    layer("Swapaxes", "back", "turned", axis1=1, axis2=2), layer("Matmul", "product", "tokens", "turned"),
    layer("MultiHeadAttention", "attention", "tokens", "tokens", num_heads=2, key_dim=4),
    layer("EinsumDense", "heads", "attention", equation="abc,cd->abd", output_shape=[None, 6]),
    layer("ReLU", "relu", "heads", negative_slope=0.1),
    layer("Concatenate", "both", "relu", "attention"), layer("GlobalAveragePooling1D", "pool", "both"),
    layer("Dense", "scores", "pool", units=5, activation="softmax"),
], "scores", "product", "tile")  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def mutants(count: int) -> Iterator[dict[str, Any]]:
    chosen = random.Random(0)
    for _ in range(count):
        config = copy.deepcopy(MODEL)
        for _ in range(chosen.randint(1, 4)):
            *way, last = chosen.choice([path for path in places(config) if len(path) > 1])
            owner = config
            for key in way:
                owner = owner[key]
            owner[last] = copy.deepcopy(chosen.choice(JUNK))
        yield config


def test_any_configuration_is_read() -> None:
    for config in mutants(200):
        unknown_layers(config)
        picture_shape(config)
        for to in ((), tuple(saved_calls(config).named)):
            expected_operators(config, to)
            input_shapes(config, to)
            output_shapes(config, to)


def test_the_whole_configuration_is_understood() -> None:
    known = {name for name, _ in expected_operators(MODEL)}
    assert known == {call.name for call in saved_calls(MODEL).calls} - {"image"}


def test_a_layer_that_reads_itself_is_of_unknown_shape() -> None:
    config = functional([layer("InputLayer", "image", batch_shape=[None, 4]), layer("Dense", "a", "a", units=3)])
    assert (output_shapes(config), expected_operators(config)) == ((None,), ())
