"""What an import adds or multiplies by a weight costs what an elementwise operator costs."""

from __future__ import annotations

import json

import keras
import pytest

from edgecut.graph.calls import calls
from edgecut.graph.cuts import cut_points
from edgecut.lowering.expected_operators import expected_operators
from edgecut.source.onnx.layers import AddWeight, MultiplyWeight

pytestmark = pytest.mark.tensorflow


def test_a_weight_that_is_added_or_multiplied_is_counted_and_its_operator_foreseen() -> None:
    x = keras.Input((4, 4, 2), name="x")
    y = MultiplyWeight(shape=(1, 1, 2), name="scale")(AddWeight(shape=(4, 4, 2), name="place")(x))
    model = keras.Model(x, keras.layers.Conv2D(3, 1, name="conv")(y))
    assert cut_points(calls(model))[-1].macs == 4 * 4 * 2 * 3
    operators = expected_operators(json.loads(model.to_json()))
    assert operators == (("place", "ADD"), ("scale", "MUL"), ("conv", "CONV_2D"))
