import keras
import pytest

from edgecut.graph.calls import calls
from edgecut.graph.cuts import cut_points, frontier, legal_starts
from tests.graph import models

pytestmark = pytest.mark.tensorflow


def test_only_tensors_that_nothing_bypasses_are_legal_starts():
    assert legal_starts(calls(models.residual())) == (
        "image", "stem", "block0_add", "block0_relu", "block1_add", "block1_relu", "pool",
    )  # fmt: skip


def test_an_illegal_start_names_what_bypasses_it():
    points = {point.name: point for point in cut_points(models.residual())}
    assert points["block0_bn"].bypass == ("stem",)
    assert points["block1_conv"].bypass == ("block0_relu",)
    assert points["block0_add"].legal_start


@pytest.mark.parametrize("build", models.ALL)
def test_the_sweep_agrees_with_the_frontier_of_each_tensor(build):
    """LAW: a start is legal iff its frontier is empty."""
    graph = calls(build())
    legal = set(legal_starts(graph))
    for point in cut_points(graph):
        tensor = next(t for t, name in graph.tensor_name.items() if name == point.name)
        consumed = graph.consumers[tensor] or tensor in keras.tree.flatten(graph.outputs)
        assert (point.name in legal) == (consumed != () and consumed is not False and frontier(graph, [tensor]) == ())


def test_costs_up_to_a_point_are_those_of_the_cut_model():
    points = {point.name: point for point in cut_points(models.chain())}
    conv_a, dw_b, conv_b, dense = 8 * 8 * 8 * 27, 8 * 8 * 8 * 9, 8 * 8 * 12 * 8, 12 * 5
    assert points["relu_a"].macs == conv_a
    assert points["conv_b"].macs == conv_a + dw_b + conv_b
    assert points["dense"].macs == conv_a + dw_b + conv_b + dense
    assert points["relu_a"].activation_bytes == 8 * 8 * 8 * 4
    assert points["dense"].params == models.chain().count_params()


def test_a_layer_whose_products_are_not_modelled_gives_no_figure_rather_than_zero():
    points = {point.name: point for point in cut_points(models.recurrent())}
    assert points["lstm:0"].macs is None
    assert points["dense"].macs is None
