"""Operators that a device's runtime lacks are refused before anything heavy is started, slow ones are noted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecut.errors import DocumentError, ExportError
from edgecut.lowering.expected_operators import expected_operators
from edgecut.pipeline import operators
from edgecut.pipeline.operators import refuse_file
from edgecut.pipeline.plan import plan
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import make_recipe
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph
from tests.saved_models import functional, layer, saved

FIXTURES = Path(__file__).parents[1] / "fixtures"


LAYERS = [
    layer("InputLayer", "image"), layer("Conv2D", "conv", "image", filters=4, kernel_size=3),
    layer("Sum", "total", "conv"), layer("GlobalAveragePooling2D", "pool", "conv"),
    layer("Dense", "scores", "pool", units=5, activation="gelu"),
]  # fmt: skip


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return saved(tmp_path / "net.keras", functional(LAYERS))


def planned(path: Path, to: str, profile: str = "nucleo-l4r5zi") -> Any:
    tables = {"source": {"model": str(path)}, "cut": {"to": to}, "export": {"precisions": ["float32"]}}
    device = find_profile(profile)
    runtime = device.runtime.model_copy(update={"precisions": ("float32", "int8")})
    # Another id, since a profile that differs from the shipped one of its id is noted.
    own = device.model_copy(update={"id": f"own-{device.id}", "runtime": runtime})
    return plan(make_recipe(tables, {}, where="test"), [own])


def test_only_what_the_cut_needs_is_judged() -> None:
    conv = ("conv", "CONV_2D")
    assert expected_operators(functional(LAYERS), ["pool"]) == (conv, ("pool", "MEAN"))
    scores = (("scores", "FULLY_CONNECTED"), ("scores", "GELU"))
    assert expected_operators(functional(LAYERS)) == (conv, ("pool", "MEAN"), *scores, ("total", "SUM"))


def test_a_layer_of_a_nested_model_has_its_dotted_name() -> None:
    outer = [layer("InputLayer", "image"), {**functional(LAYERS), "name": "body"}]
    assert expected_operators(functional(outer))[1] == ("body.pool", "MEAN")
    assert expected_operators(functional(outer), ["body.pool"]) == (("body.conv", "CONV_2D"), ("body.pool", "MEAN"))


def test_nodes_of_keras_2_are_followed() -> None:
    conv = {**layer("Conv2D", "conv", filters=4, kernel_size=3), "inbound_nodes": [[["image", 0, 0, {}]]]}
    layers = [layer("InputLayer", "image"), layer("Sum", "side"), conv]
    assert expected_operators(functional(layers), ["conv"]) == (("conv", "CONV_2D"),)


def test_what_a_layer_does_not_say_leaves_its_operator_unknown_and_its_activation_known() -> None:
    layers = [layer("InputLayer", "image"), layer("Conv2D", "conv", "image", filters="4", activation="gelu")]
    assert expected_operators(functional(layers)) == (("conv", "GELU"),)


def test_a_pooling_of_one_place_is_no_mean() -> None:
    image = layer("InputLayer", "image", batch_shape=[None, 8, 8, 3])
    conv = layer("Conv2D", "conv", "image", filters=4, kernel_size=[8, 8])
    pooled = functional([image, conv, layer("GlobalAveragePooling2D", "pool", "conv")])
    assert expected_operators(pooled) == (("conv", "CONV_2D"), ("pool", "RESHAPE"))


def test_a_model_that_ends_in_sum_is_refused_for_tflm(net: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        planned(net, "total")
    assert caught.value.faults == (
        "model: profile own-nucleo-l4r5zi: layer 'total' becomes SUM, which is in TFLM's sources since 90b983c at "
        "the latest and missing from libraries that boards ship (\"Didn't find op SUM\"); the profile's "
        "runtime.version doesn't say '90b983c'; use a mean instead (GlobalAveragePooling2D), its size multiplied into "
        "the next layer's weights",
    )


def test_the_remedied_model_is_planned_with_a_note_on_its_pooling(net: Path) -> None:
    assert planned(net, "pool").notes == (
        "profile own-nucleo-l4r5zi: layer 'pool' becomes MEAN, which has no CMSIS-NN kernel and runs reference code; "
        "use AveragePooling1D or AveragePooling2D of all places in place of the global pooling, in int8 coarser",
    )


def test_litert_takes_a_sum(net: Path) -> None:
    assert planned(net, "total", "raspberry-pi-4").notes == ()


def test_a_file_that_holds_what_the_graph_did_not_tell_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tensors = (Tensor(0, "in", (1, 4, 4, 8), "int8"), Tensor(1, "net/lambda/Sum", (1, 8), "int8"))
    graph = TfliteGraph(tensors, (Operator(0, "GELU", 1, (0,), (1,)),), (0,), (1,))
    refuse_file(FIXTURES / "tiny.int8.tflite", "int8", [find_profile("nucleo-l4r5zi"), find_profile("host")])
    monkeypatch.setattr(operators, "read", lambda path: graph)
    with pytest.raises(ExportError) as caught:
        refuse_file(Path("net.int8.tflite"), "int8", [find_profile("nucleo-l4r5zi")])
    assert str(caught.value) == (
        "export: net.int8.tflite: profile nucleo-l4r5zi: layer 'lambda': GELU (int8) is not registered in TensorFlow "
        "Lite Micro; retrain with relu6 or relu in place of gelu; no rewrite computes the same"
    )


def test_nothing_is_foreseen_where_no_device_is_judged_by_it(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(operators, "expected_operators", lambda *arguments: asked.append("all") or ())
    recipe = make_recipe({"source": {"model": str(net)}, "export": {"precisions": ["float32"]}}, {}, where="test")
    plan(recipe, [find_profile("host")])
    assert asked == []
    planned(net, "pool")
    assert asked
