"""The sides of an elementwise operator are read where NumPy's broadcasting reads them."""

from __future__ import annotations

import numpy as np
import pytest

from edgecut.engine.kernels.elementwise import add
from edgecut.engine.lowered import Model
from edgecut.engine.network import read_network
from edgecut.tflite.flatbuffer import parse
from tools.int8_net import Int8Net

SHAPES = (
    ((1, 3, 4, 5), (1, 3, 4, 5), 20),
    ((1, 3, 4, 5), (1, 1, 1, 5), 5),
    ((1, 3, 4, 5), (1, 1, 1, 1), 20),
    ((1, 3, 4, 5), (1, 3, 1, 5), 5),
    ((1, 3, 4, 5), (1, 1, 4, 1), 5),
    ((1, 3, 4, 1), (1, 3, 4, 5), 5),
    ((1, 3, 4, 1), (1, 1, 4, 1), 4),
    ((1, 3, 4, 1), (1, 3, 1, 1), 4),
    ((1, 3, 1, 5), (1, 3, 4, 1), 5),
    ((2, 3, 4, 5), (1, 3, 4, 5), 20),
)


@pytest.mark.parametrize(("a_shape", "b_shape", "run"), SHAPES)
def test_steps_are_those_of_broadcasting(a_shape: tuple[int, ...], b_shape: tuple[int, ...], run: int) -> None:
    net = Int8Net(np.random.default_rng(0), tame=True)
    sides = [net.image(a_shape), net.image(b_shape)]
    content = net.file(sides, [net.binary("ADD", *sides)])
    graph = parse(content, "net")
    assert read_network(content, "net").nodes
    steps = add(Model(graph, {}), graph.operators[-1]).call.fields["steps"]
    assert isinstance(steps, tuple)
    assert steps[0] == run
    shape = np.broadcast_shapes(a_shape, b_shape)
    for own, side in ((steps[5:10], a_shape), (steps[10:15], b_shape)):
        offsets = np.broadcast_to(np.arange(np.prod(side)).reshape(side), shape).ravel()
        assert [_offset(own, steps, at) for at in range(offsets.size)] == offsets.tolist()


def _offset(own: tuple[int, ...], steps: tuple[int, ...], at: int) -> int:
    """As sides() in elementwise.c."""
    values, columns, height = steps[:3]
    row, column, value = at // (values * columns), at // values % columns, at % values
    byte_row = row // height * own[0] + row % height * own[1]
    return byte_row * own[2] + column * own[3] + value * own[4]
