"""What a saved model takes and puts out is read from its configuration, and never guessed."""

from __future__ import annotations

from typing import Any

import pytest

from edgecut.lowering.saved_shapes import input_shapes, output_shapes
from tests.saved_models import classifier, functional, layer

IMAGE = layer("InputLayer", "image", batch_shape=[None, 8, 8, 3])
TWO = [
    IMAGE, layer("InputLayer", "other", batch_shape=[None, 5]), layer("Conv2D", "conv", "image", filters=4),
    layer("Flatten", "flat", "conv"), layer("Concatenate", "both", "flat", "other"),
    layer("Dense", "scores", "both", units=6), layer("Softmax", "soft", "scores"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("config", "to", "shapes"),
    [
        (classifier(), (), ((None, 7),)),
        (classifier(), ("conv",), ((None, None, None, 4),)),
        (classifier(), ("conv", "scores"), ((None, None, None, 4), (None, 7))),
        (classifier(), ("none",), (None,)),
        (functional(TWO), (), ((None, 6),)),  # whose sizes before the last are those of a Concatenate
        (functional(TWO, "scores", "conv"), ("conv",), ((None, None, None, 4),)),
        (functional([IMAGE, layer("Mine", "mine", "image")]), (), (None,)),
        (functional([IMAGE, layer("Conv2D", "c", "image", filters=4, data_format="channels_first")]), (), (None,)),
        (functional([IMAGE, layer("Dense", "a", "a", units="7")]), (), (None,)),
        (functional([layer("InputLayer", "image", batch_shape=[None, 9]), layer("Dense", "d", "image", units=2)]), (),
         ((None, 2),)),
        (functional([IMAGE, layer("Reshape", "r", "image", target_shape=[64, 3])]), (), ((None, None, 3),)),
        ({"class_name": "Sequential", "config": {"layers": [
            layer("Conv2D", "c", filters=4, batch_shape=[None, 8, 8, 3]), layer("Flatten", "f"),
            layer("Dense", "d", units=3), layer("Activation", "a")]}}, (), ((None, 3),)),
        (functional([IMAGE, {**classifier(), "name": "inner"}]), (), ((None, 7),)),
        (functional([IMAGE, {**classifier(), "name": "inner"}]), ("inner.conv",), ((None, None, None, 4),)),
        ({}, (), ()),
        ({"class_name": "Functional", "config": {"layers": 3}}, (), ()),
    ],
)  # fmt: skip
def test_outputs(config: dict[str, Any], to: tuple[str, ...], shapes: Any) -> None:
    assert output_shapes(config, to) == shapes


def test_only_the_inputs_that_a_cut_needs_count() -> None:
    assert input_shapes(functional(TWO)) == ((None, 8, 8, 3), (None, 5))
    assert input_shapes(functional(TWO), ("flat",)) == ((None, 8, 8, 3),)
    assert input_shapes({}) is None
