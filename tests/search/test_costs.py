"""What a choice that isn't built is estimated to cost."""

from __future__ import annotations

import pytest

from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Recipe, Source
from edgecut.search.costs import estimated
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph


@pytest.mark.parametrize(("operator", "known"), [("RELU", True), ("GRU", False)])
def test_an_arena_is_estimated_only_where_every_operator_is_foreseen(operator: str, known: bool) -> None:
    tensors = (Tensor(0, "steps", (1, 20, 8), "int8", (1.0,)), Tensor(1, "state", (1, 20, 8), "int8", (1.0,)))
    graph = TfliteGraph(tensors, (Operator(0, operator, 1, (0,), (1,)),), (0,), (1,))
    (device,) = estimated(graph, Recipe(source=Source(model="m.keras")), [find_profile("nucleo-l4r5zi")], "int8")
    assert (device.arena is not None) == known
