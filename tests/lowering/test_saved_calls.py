"""A saved configuration is foreseen as the live model is: by the same rules, from the same plain records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

from edgecut.graph.calls import calls, flat
from edgecut.graph.dataflow import Dataflow
from edgecut.graph.layer_call import UnsaidError
from edgecut.graph.live import dataflow, layer_calls
from edgecut.graph.points import points_of, totals
from edgecut.lowering.expected_operators import expected_operators
from edgecut.lowering.lower import lowering, operators_by_layer
from edgecut.lowering.saved_calls import saved_calls
from edgecut.lowering.saved_dataflow import saved_dataflow
from edgecut.lowering.saved_shapes import input_shapes, output_shapes
from edgecut.tflite.kinds import KINDS
from tests.graph import models
from tests.lowering.test_lowering import many_kinds, transformer

pytestmark = pytest.mark.tensorflow

A = keras.applications
SIZE = {"input_shape": (64, 64, 3), "weights": None, "classes": 10}
MODELS: dict[str, Callable[[], keras.Model]] = {
    "MobileNet": lambda: A.MobileNet(alpha=0.25, **SIZE),
    "MobileNetV2": lambda: A.MobileNetV2(alpha=0.35, **SIZE),
    "MobileNetV3Small": lambda: A.MobileNetV3Small(**SIZE),
    "EfficientNetB0": lambda: A.EfficientNetB0(**SIZE),
    "ResNet50V2": lambda: A.ResNet50V2(**SIZE),
    "DenseNet121": lambda: A.DenseNet121(**SIZE),
    "chain": models.chain,
    "residual": models.residual,
    "nested": models.nested,
    "shared": models.shared,
    "many_kinds": many_kinds,
    "transformer": transformer,
}


def with_shifts(model: keras.Model) -> keras.Model:
    """A normalization's shift of zeros is left out by a converter, and no configuration tells of it."""
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.LayerNormalization) and layer.beta is not None:
            layer.beta.assign(np.ones(layer.beta.shape))
    return model


def without_shapes(value: Any) -> Any:
    """The configuration as Keras 2 would save it: tensors don't say their shape."""
    if isinstance(value, dict):
        is_tensor = "keras_history" in value
        return {key: without_shapes(x) for key, x in value.items() if not (is_tensor and key == "shape")}
    return [without_shapes(x) for x in value] if isinstance(value, list) else value


def agrees(shape: tuple[int | None, ...], true: tuple[int | None, ...]) -> bool:
    """Whether a shape says nothing false: None is an open size or an unknown one."""
    return len(shape) == len(true) and all(a in {None, b} for a, b in zip(shape, true, strict=True))


@pytest.fixture(params=MODELS, scope="module")
def model(request: pytest.FixtureRequest) -> Iterator[keras.Model]:
    yield with_shifts(MODELS[request.param]())
    keras.backend.clear_session()


def test_a_saved_model_is_foreseen_as_the_live_one(model: keras.Model) -> None:
    graph = calls(model)
    live = operators_by_layer(layer_calls(graph), flat(graph.outputs))
    rows = [(layer, name) for layer, names in live.items() for name in names if name in KINDS]
    config = json.loads(model.to_json())
    assert sorted(expected_operators(config)) == sorted(rows)


def test_the_shapes_are_keras_own_also_where_the_file_says_none(model: keras.Model) -> None:
    graph = calls(model)
    told = {call.name: call.outputs[0].shape for call in layer_calls(graph)}
    saved = saved_calls(without_shapes(json.loads(model.to_json())))
    known = {call.name: call.shape for call in saved.calls if call.shape}
    assert {name: shape for name, shape in known.items() if not agrees(shape, told.get(name, shape))} == {}
    assert len(known) > 0.8 * len(saved.calls)


def test_what_a_model_takes_and_puts_out_is_read_from_its_configuration(model: keras.Model) -> None:
    config = json.loads(model.to_json())
    assert input_shapes(config) == tuple(x.shape for x in model.inputs)
    assert output_shapes(config) == tuple((*(None,) * (len(x.shape) - 1), x.shape[-1]) for x in model.outputs)


def test_cuts_and_what_they_cost_are_the_live_ones(model: keras.Model) -> None:
    live = dataflow(model)
    try:
        saved = saved_dataflow(json.loads(model.to_json()))
    except UnsaidError as exc:
        pytest.skip(str(exc))
    assert points_of(saved) == points_of(live)
    assert totals(saved) == totals(live)
    assert told(saved) == told(live)
    ends = [(flow.calls, flow.flat_outputs) for flow in (saved, live)]
    assert lowering(ends[0][0], "int8")(*ends[0][1]) == lowering(ends[1][0], "int8")(*ends[1][1])


def told(flow: Dataflow) -> list[tuple[object, ...]]:
    """What each call is told by, its tensors by name."""
    names = flow.tensor_name
    return [
        (
            call.name,
            call.path,
            call.type,
            call.weights,
            [names[x] for x in call.inputs],
            call.outputs[0].dtype,
        )
        for call in flow
    ]
