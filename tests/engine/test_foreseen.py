"""A graph without numbers needs the work buffer that its file needs."""

from __future__ import annotations

import pytest

from edgecut.engine import arena_bytes, plan
from edgecut.tflite.flatbuffer import parse
from tools.int8_files import random_nets, single_operators


def test_shapes_alone_give_the_work_buffer_of_the_file() -> None:
    """Of every kind of operator and net; PAD is left out, since a padding's sides are numbers."""
    for name, content in (*single_operators(31), *random_nets(6)):
        if "_pad" not in name:
            assert arena_bytes(parse(content, name)) == plan(content).arena_bytes, name


@pytest.mark.parametrize("seed", range(3))
def test_a_padding_that_could_lie_on_either_side_is_within_rows_of_the_file(seed: int) -> None:
    files = [(name, content) for name, content in single_operators(31, seed) if "_pad" in name]
    for name, content in files:
        graph = parse(content, name)
        row = max(tensor.elements // tensor.shape[1] for tensor in graph.tensors if len(tensor.shape) == 4)
        assert abs(arena_bytes(graph) - plan(content).arena_bytes) <= 6 * row
