"""A saved configuration tells the cuts of a model, or says in words why only the model itself does."""

from __future__ import annotations

from typing import Any

import pytest

from edgecut.graph.layer_call import UnsaidError
from edgecut.graph.points import points_of, totals
from edgecut.lowering.saved_calls import saved_calls, unknown_layers
from edgecut.lowering.saved_dataflow import saved_dataflow
from edgecut.lowering.saved_shapes import output_shapes
from tests.saved_models import functional, layer

IMAGE = layer("InputLayer", "image", batch_shape=[None, 8, 8, 3])
CONV = {"filters": 4, "kernel_size": [3, 3], "padding": "same"}


def sequence(*layers: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a Sequential, whose tensors say nothing of themselves."""
    return {"class_name": "Sequential", "config": {"name": "sequence", "layers": list(layers)}}


def test_cuts_are_told_from_a_configuration_alone() -> None:
    flow = saved_dataflow(
        functional([
            IMAGE, layer("Conv2D", "conv", "image", **CONV), layer("Conv2D", "side", "conv", **CONV),
            layer("Add", "sum", "conv", "side"), layer("GlobalAveragePooling2D", "pool", "sum"),
            layer("Dense", "scores", "pool", units=7),
        ])
    )  # fmt: skip
    rows = [(p.name, p.shape, p.legal_start, p.bypass, p.macs, p.params, p.activation_bytes) for p in points_of(flow)]
    first, second = 64 * 27 * 4, 64 * 36 * 4
    assert rows == [
        ("image", (None, 8, 8, 3), True, (), 0, 0, 768),
        ("conv", (None, 8, 8, 4), True, (), first, 112, 1024),
        ("side", (None, 8, 8, 4), False, ("conv",), first + second, 260, 1024),
        ("sum", (None, 8, 8, 4), True, (), first + second, 260, 1024),
        ("pool", (None, 4), True, (), first + second, 260, 16),
        ("scores", (None, 7), True, (), first + second + 28, 295, 28),
    ]
    assert totals(flow) == {"layers": 6, "calls": 6, "params": 295, "macs": first + second + 28}


@pytest.mark.parametrize(
    ("kind", "shape", "settings", "output", "params"),
    [
        ("Conv1D", (20, 3), {"filters": 4, "kernel_size": [3], "strides": [2], "padding": "causal"}, (10, 4), 40),
        ("Conv3D", (6, 6, 6, 2), {"filters": 4, "kernel_size": [3, 3, 3]}, (4, 4, 4, 4), 220),
        ("Conv2DTranspose", (5, 5, 3), {"filters": 4, "kernel_size": 3, "strides": [2, 2]}, (11, 11, 4), 112),
        ("DepthwiseConv1D", (20, 3), {"kernel_size": [3], "depth_multiplier": 2}, (18, 6), 24),
        ("SeparableConv1D", (20, 3), {"filters": 4, "kernel_size": [3], "use_bias": False}, (18, 4), 21),
        ("LSTM", (9, 3), {"units": 5}, (5,), 180),
        ("GRU", (9, 3), {"units": 5, "return_sequences": True}, (9, 5), 150),
        ("AveragePooling1D", (9, 3), {"pool_size": [2]}, (4, 3), 0),
        ("MaxPooling3D", (9, 9, 9, 3), {"pool_size": [2, 2, 2]}, (4, 4, 4, 3), 0),
        ("ZeroPadding1D", (9, 3), {"padding": [1, 2]}, (12, 3), 0),
        ("UpSampling1D", (9, 3), {"size": 2}, (18, 3), 0),
        ("RepeatVector", (9,), {"n": 4}, (4, 9), 0),
        ("PReLU", (4, 4, 3), {"shared_axes": [1, 2]}, (4, 4, 3), 3),
        ("BatchNormalization", (4, 3), {"scale": False}, (4, 3), 9),
    ],
)
def test_sizes_and_weights_are_keras_own(
    kind: str, shape: tuple[int, ...], settings: dict[str, Any], output: tuple[int, ...], params: int
) -> None:
    taken = layer("InputLayer", "x", batch_shape=[None, *shape])
    call = saved_dataflow(sequence(taken, layer(kind, "y", **settings))).calls[-1]
    assert (call.shape, call.params) == ((None, *output), params)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (sequence(IMAGE, layer("Lambda", "f")), "layer 'f' (Lambda) runs code"),
        (functional([IMAGE, {**layer("Mine", "mine", "image"), "module": "my.layers", "registered_name": "My>Mine"}]),
         "layer 'mine' (Mine) is or has a class of its own"),
        (functional([IMAGE, {**layer("Dense", "mine", "image", units=3), "module": None,
                             "registered_name": "my>Dense"}]),
         "layer 'mine' (Dense) is or has a class of its own"),
        (functional([IMAGE, layer("Conv2D", "conv", "image", **CONV, kernel_initializer={
            "module": None, "class_name": "HeNormal", "config": {}, "registered_name": "HeNormal"})]),
         "layer 'conv' (Conv2D) is or has a class of its own"),
        ({**functional([IMAGE, layer("Flatten", "flat", "image")]), "module": None, "registered_name": "my>Functional"},
         "its class 'Functional' says in code what it does"),
        (functional([IMAGE, layer("Resizing", "small", "image", height=2, width=2)]),
         "the weights of Resizing aren't foreseen"),
        (functional([IMAGE, layer("Conv2D", "conv", "image", dtype={"class_name": "DTypePolicy",
                                                                      "config": {"name": "mixed_float16"}})]),
         "layer 'conv' (Conv2D) computes in mixed_float16"),
        (sequence(layer("InputLayer", "x", batch_shape=[None, 9], dtype="int32"),
                  layer("Embedding", "words", input_dim=5, output_dim=2, mask_zero=True)),
         "layer 'words' (Embedding) makes a mask"),
        (sequence(layer("InputLayer", "x", batch_shape=[None, 9, 2]),
                  layer("LSTM", "state", units=5, return_state=True)),
         "state puts out several tensors"),
        ({"class_name": "Mine", "config": {}}, "its class 'Mine' says in code what it does"),
        (functional([IMAGE, layer("Dense", "scores", "image", units="7")]), "Dense: units = '7'"),
        (functional([IMAGE, layer("Flatten", "flat", "flat")]), "it is damaged"),
    ],
)  # fmt: skip
def test_what_only_the_model_tells_is_said_why(config: dict[str, Any], why: str) -> None:
    with pytest.raises(UnsaidError) as caught:
        saved_dataflow(config)
    assert str(caught.value) == why


def test_shapes_of_a_class_of_ones_own_are_not_those_of_keras_class_of_that_name() -> None:
    mine = {**layer("Dense", "mine", "image", units=3), "module": None, "registered_name": "my>Dense"}
    config = functional([IMAGE, mine])
    assert [call.type for call in saved_calls(config).calls] == ["InputLayer", "Custom>Dense"]
    assert output_shapes(config) == (None,)
    assert unknown_layers(config) == ("mine",)
