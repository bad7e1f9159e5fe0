"""The names that are offered for one that isn't known."""

from __future__ import annotations

from edgecut.records.nearest import closest

LAYERS = ["image", "mobilenetv2_1.00_224.block_5_add", "mobilenetv2_1.00_224.block_5_expand", "scores"]


def test_the_names_most_alike_are_offered_whatever_their_case() -> None:
    assert closest("Score", LAYERS) == " (closest: 'scores')"
    assert closest("zzz", LAYERS) == ""


def test_a_layer_inside_a_nested_model_is_found_by_its_own_name() -> None:
    assert closest("block_5_ad", LAYERS, 1) == " (closest: 'mobilenetv2_1.00_224.block_5_add')"


def test_no_more_names_are_offered_than_asked_for_and_none_twice() -> None:
    assert closest("a.conv", ["a.conv", "b.conv", "conv"], 2) == " (closest: 'a.conv', 'b.conv')"
