"""The generated C gives what TensorFlow Lite Micro's interpreter gives, to the bit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from edgecut.bench.runners.tflm import interpreter_outputs, is_here
from edgecut.engine import Generated, generate
from edgecut.engine.operators import OPERATORS
from edgecut.tflite.flatbuffer import TfliteGraph, parse
from edgecut.tflite.kinds import RENAMES
from tests.engine.int16 import int16_net, int16_residual
from tools.host_proof import compile_host, run_host
from tools.int8_files import SINGLE, random_nets, single_operators
from tools.int8_net import Int8Net

FIXTURE = Path(__file__).parents[1] / "fixtures" / "tiny.int8.tflite"

pytestmark = pytest.mark.skipif(
    not (is_here() and shutil.which("gcc")), reason="needs gcc and the tflite-micro package, which compare the outputs"
)


# SLICE and SPLIT_V share the kernels of STRIDED_SLICE and SPLIT; of PAD and PADV2 the seed draws one.
NOT_DRAWN = {"PAD", "PADV2", "SLICE", "SPLIT_V"}


class Case(NamedTuple):
    name: str
    content: bytes
    graph: TfliteGraph
    made: Generated
    inputs: list[bytes]


def several_inputs() -> bytes:
    """A net whose inputs lie in the work buffer in another order than in the file; the first isn't read."""
    net = Int8Net(np.random.default_rng(5), tame=True)
    unread, small, image, wide = (net.image(shape) for shape in ((1, 99), (1, 1, 1, 3), (1, 9, 5, 3), (1, 9, 5, 8)))
    sums = net.binary("ADD", net.conv(wide, 3), net.binary("MUL", image, small))
    return net.file([unread, small, image, wide], [sums])


def slices() -> bytes:
    """Slices of one image: masks, negative strides and places, axes that are taken away."""
    net = Int8Net(np.random.default_rng(6), tame=True)
    x = net.image((1, 9, 7, 5))
    parts = [
        ((0, 2, 1, 0), (1, -1, 9, 5), (1, 2, 3, 1), {}, (1, 3, 2, 5)),
        ((0, -4, 5, 0), (1, 99, 0, 3), (1, 1, -2, 2), {}, (1, 4, 3, 2)),
        ((3, 3, 3, 3), (3, 3, 3, 3), (1, 4, -1, 1), {"beginMask": 15, "endMask": 15}, (1, 3, 7, 5)),
        ((0, 8, 2, 0), (1, 0, 0, 5), (1, -3, 1, 1), {"shrinkAxisMask": 5, "endMask": 2}, (3, 5)),
    ]
    made = []
    for begin, end, strides, masks, shape in parts:
        places = [net.constant(np.array(v, np.int32)) for v in (begin, end, strides)]
        made.append(net.image(shape, net.grids[x]))
        net.operator("STRIDED_SLICE", [x, *places], made[-1:], 1, "StridedSliceOptions", masks)
    return net.file([x], made)


def sums() -> bytes:
    """Sums that rows are added to: over rows, columns and channels, of two batches, and a pooling of whole images."""
    net = Int8Net(np.random.default_rng(8), tame=True)
    x = net.image((2, 9, 7, 5))
    made = [
        net.reduce(kind, net.unary("HARD_SWISH", x), axes, keep=keep)
        for kind, axes, keep in (
            ("MEAN", [1, 2], True),
            ("MEAN", [1], False),
            ("SUM", [3, 1, 2], False),
            ("SUM", [1, 3], True),
        )
    ]
    y = net.unary("HARD_SWISH", x)
    flat = net.image((1, 6, 5, 3))
    made += [
        net.dense(net.reshape(net.conv(flat, 4, (3, 3)), (1, 120)), 7, per_channel=True, activation=1),
        net.dense(net.conv(flat, 8, (3, 3)), 5),
        net.dense(net.conv(flat, 8, (1, 1)), 60, bias=False),
    ]
    made += [
        net.pool("AVERAGE", y, (9, 7), (1, 1), 1),
        net.pool("AVERAGE", net.unary("RELU", x), (17, 13), (9, 9), 0, 3),
    ]
    return net.file([x, flat], made)


def series() -> bytes:
    """A keyword net on 26 steps of 5 values: convolutions along columns, and what moves time under three axes."""
    net = Int8Net(np.random.default_rng(4), tame=True)
    x = image = net.image((1, 26, 5))
    x = net.conv(net.reshape(net.pad(x, [(0, 0), (2, 1), (0, 1)]), (1, 1, 29, 6)), 7, (1, 4), (1, 2), activation=1)
    y = net.depthwise(x, 1, (3, 3), dilation=(1, 2))
    x = net.binary("ADD", net.conv(y, 7, (1, 1)), x)
    x = net.reshape(net.pool("MAX", x, (1, 2), (1, 2), 1), (1, 7, 7))
    gate = net.unary("LOGISTIC", net.reduce("MEAN", x, [1], keep=True))
    x = net.binary("MUL", net.binary("MUL", x, gate), net.constant_image((7, 1)))
    x = net.concatenate([x, net.strided_slice(x, (0, 0, 1), (1, 7, 6), (1, 1, 2))], -1)
    up = net.transpose_conv(net.reshape(x, (1, 1, 7, 10)), 3, (1, 3), (1, 2), 0)
    parts = net.split(net.reshape(up, (1, 14, 3)), 1, 2)
    return net.file([image], [net.dense(net.reduce("MEAN", x, [-2], keep=False), 4), *parts])


def cases() -> Iterator[Case]:
    """One file of each operator that is written as C, a few nets, and the house's fixture."""
    seen: set[str] = set()
    files = [("tiny", FIXTURE.read_bytes()), *single_operators(len(SINGLE)), *random_nets(5)]
    for name, content in files:
        graph = parse(content, name)
        kinds = {op.name for op in graph.operators}
        if kinds <= OPERATORS.keys() | RENAMES and (not kinds <= seen or name.startswith("net")):
            seen |= kinds
            rng = np.random.default_rng(len(seen))
            size = sum(graph.tensors[index].size_bytes for index in graph.inputs)
            inputs = [rng.integers(-128, 128, size).astype(np.int8).tobytes(), bytes([128]) * size, bytes([127]) * size]
            yield Case(name, content, graph, generate(content, name), inputs)
    for name, content in (("several", several_inputs()), ("slices", slices()), ("sums", sums()), ("series", series())):
        graph = parse(content, name)
        sizes = sum(graph.tensors[index].size_bytes for index in graph.inputs)
        drawn = np.random.default_rng(2).integers(-128, 128, (3, sizes)).astype(np.int8)
        yield Case(name, content, graph, generate(content, name), [row.tobytes() for row in drawn])
    dtypes = {"wide": np.dtype(np.int64), "narrow": np.dtype(np.int32), "unbiased": None}
    wide = {name: int16_net(dtype) for name, dtype in dtypes.items()}
    for name, content in (*wide.items(), ("residual16", int16_residual())):
        values = np.random.default_rng(1).integers(-(2**15), 2**15, (3, 9 * 7 * 3)).astype(np.int16)
        graph, inputs = parse(content, name), [row.tobytes() for row in values]
        yield Case(name, content, graph, generate(content, name), inputs)
    assert seen >= OPERATORS.keys() - NOT_DRAWN


@pytest.fixture(scope="module")
def drawn() -> list[Case]:
    return list(cases())


@pytest.fixture(scope="module")
def expected(drawn: list[Case], tmp_path_factory: pytest.TempPathFactory) -> list[list[bytes] | str]:
    folder = tmp_path_factory.mktemp("tflm")
    for case in drawn:
        (folder / case.name).write_bytes(case.content)
    return interpreter_outputs([folder / case.name for case in drawn], [case.inputs for case in drawn])


@pytest.fixture(scope="module")
def program(drawn: list[Case], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_host([(case.name, case.made) for case in drawn], tmp_path_factory.mktemp("c"))


def test_outputs_are_equal_to_the_bit(drawn: list[Case], expected: list[list[bytes]], program: Path) -> None:
    for k, (case, values) in enumerate(zip(drawn, expected, strict=True)):
        assert run_host(program, 2 * k, case.inputs) == values, case.name


def test_outputs_of_an_input_that_comes_by_rows_are_the_same(
    drawn: list[Case], expected: list[list[bytes]], program: Path
) -> None:
    for k, (case, values) in enumerate(zip(drawn, expected, strict=True)):
        if case.made.rows_arena_bytes is not None:
            assert run_host(program, 2 * k + 1, case.inputs) == values, case.name
