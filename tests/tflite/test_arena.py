"""The arena planner against published heads and built binaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecut.bench.runners import tflm
from edgecut.tflite.arena import (
    CORTEX_M_ERROR,
    cortex_m_arena_bytes,
    esp_nn_arena_bytes,
    live_bytes,
    place,
    planned_bytes,
    planning_bytes,
    tail_bytes,
)
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph, parse, read
from edgecut.tflite.lifetimes import UNUSED, Buffer, lifetimes, moments
from edgecut.tflite.scratch import cmsis_nn_requests, esp_nn_s3_requests
from edgecut.tflite.write import Draft
from tests.tflite.conftest import Heads
from tools.operator_files import KINDS, operator_file, usual_types

FIXTURES = Path(__file__).parents[1] / "fixtures"


class Network:
    """An int8 graph put together from shapes, tensors in the order the converter gives them."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shapes: list[tuple[tuple[int, ...], bool]] = [((1, *shape), False)]
        self.calls: list[tuple[str, tuple[int, ...], int]] = []

    def call(self, name: str, shape: Sequence[int], weights: Sequence[int] = (), extra: Sequence[int] = ()) -> int:
        """Append a call on the last output (or on `extra`) and return its output's place."""
        inputs = tuple(extra) or (self._last(),)
        if weights:
            self.shapes.append((tuple(weights), True))
            inputs = (*inputs, len(self.shapes) - 1)
        self.shapes.append(((1, *shape), False))
        self.calls.append((name, inputs, len(self.shapes) - 1))
        return self._last()

    def _last(self) -> int:
        return self.calls[-1][2] if self.calls else 0

    def graph(self) -> TfliteGraph:
        tensors = tuple(Tensor(k, str(k), s, "int8", is_constant=c) for k, (s, c) in enumerate(self.shapes))
        operators = tuple(Operator(k, name, 1, i, (o,)) for k, (name, i, o) in enumerate(self.calls))
        return TfliteGraph(tensors, operators, (0,), (self._last(),))


def visual_wake_words() -> TfliteGraph:
    net = Network((96, 96, 3))
    net.call("CONV_2D", (48, 48, 8), (8, 3, 3, 3))
    side, channels = 48, 8
    for stride, filters in [
        (1, 16),
        (2, 32),
        (1, 32),
        (2, 64),
        (1, 64),
        (2, 128),
        *[(1, 128)] * 5,
        (2, 256),
        (1, 256),
    ]:
        side //= stride
        net.call("DEPTHWISE_CONV_2D", (side, side, channels), (1, 3, 3, channels))
        net.call("CONV_2D", (side, side, filters), (filters, 1, 1, channels))
        channels = filters
    net.call("AVERAGE_POOL_2D", (1, 1, 256))
    net.call("RESHAPE", (256,))
    net.call("FULLY_CONNECTED", (2,), (2, 256))
    net.call("SOFTMAX", (2,))
    return net.graph()


def keyword_spotting() -> TfliteGraph:
    net = Network((49, 10, 1))
    net.call("CONV_2D", (25, 5, 64), (64, 10, 4, 1))
    for _ in range(4):
        net.call("DEPTHWISE_CONV_2D", (25, 5, 64), (1, 3, 3, 64))
        net.call("CONV_2D", (25, 5, 64), (64, 1, 1, 64))
    net.call("AVERAGE_POOL_2D", (1, 1, 64))
    net.call("RESHAPE", (64,))
    net.call("FULLY_CONNECTED", (12,), (12, 64))
    net.call("SOFTMAX", (12,))
    return net.graph()


def anomaly_detection() -> TfliteGraph:
    net = Network((640,))
    width = 640
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128, 640):
        net.call("FULLY_CONNECTED", (units,), (units, width))
        width = units
    return net.graph()


def image_classification() -> TfliteGraph:
    net = Network((32, 32, 3))
    start = net.call("CONV_2D", (32, 32, 16), (16, 3, 3, 3))
    net.call("CONV_2D", (32, 32, 16), (16, 3, 3, 16))
    branch = net.call("CONV_2D", (32, 32, 16), (16, 3, 3, 16))
    block = net.call("ADD", (32, 32, 16), extra=(start, branch))
    for side, filters in ((16, 32), (8, 64)):
        net.call("CONV_2D", (side, side, filters), (filters, 3, 3, filters // 2))
        branch = net.call("CONV_2D", (side, side, filters), (filters, 3, 3, filters))
        short = net.call("CONV_2D", (side, side, filters), (filters, 1, 1, filters // 2), extra=(block,))
        block = net.call("ADD", (side, side, filters), extra=(short, branch))
    net.call("AVERAGE_POOL_2D", (1, 1, 64))
    net.call("RESHAPE", (64,))
    net.call("FULLY_CONNECTED", (10,), (10, 64))
    net.call("SOFTMAX", (10,))
    return net.graph()


@pytest.mark.parametrize(
    ("graph", "head"),
    [(visual_wake_words(), 73_728), (image_classification(), 49_152), (keyword_spotting(), 16_000),
     (anomaly_detection(), 768)],
    ids=["vww", "ic", "kws", "ad"],
)  # fmt: skip
def test_planner_gives_the_head_of_the_real_interpreter(graph: TfliteGraph, head: int) -> None:
    assert planned_bytes(graph) == head


@pytest.mark.parametrize(
    ("graph", "built"),
    [(visual_wake_words(), 100_804), (image_classification(), 55_092), (keyword_spotting(), 22_916),
     (anomaly_detection(), 2_676)],
    ids=["vww", "ic", "kws", "ad"],
)  # fmt: skip
def test_cortex_m_estimate_is_near_the_binaries_that_were_built(graph: TfliteGraph, built: int) -> None:
    # 0.2, 0.1, 0.03 and 4.6 % off.
    assert abs(cortex_m_arena_bytes(graph) / built - 1) <= 0.046
    assert CORTEX_M_ERROR == 0.10


def test_live_set_is_not_the_arena() -> None:
    assert live_bytes(visual_wake_words()) == 55_296


@given(
    st.lists(
        st.tuples(st.integers(1, 400), st.integers(0, 12), st.integers(0, 6)).map(lambda t: (t[0], t[1], t[1] + t[2])),
        max_size=25,
    )
)
def test_buffers_alive_together_never_overlap(rows: list[tuple[int, int, int]]) -> None:
    """Two placements share a byte only if no operator needs both; every offset is a multiple of 16."""
    placed = place(Buffer(k, *row) for k, row in enumerate(rows))
    assert len(placed) == len(rows)
    for k, a in enumerate(placed):
        assert a.offset % 16 == 0
        for b in placed[k + 1 :]:
            together = a.buffer.first <= b.buffer.last and b.buffer.first <= a.buffer.last
            apart = a.offset + a.buffer.size_bytes <= b.offset or b.offset + b.buffer.size_bytes <= a.offset
            assert apart or not together


def test_constants_need_no_arena_and_a_tensor_that_nobody_reads_is_planned() -> None:
    """The interpreter's head of such a file is the unused tensor's size, see the single operators below."""
    net = Network((8,))
    net.call("FULLY_CONNECTED", (4,), (4, 8))
    net.shapes.append(((1, 999), False))
    lives = [(b.order, b.first, b.last) for b in lifetimes(net.graph())]
    assert lives == [(0, -1, 0), (2, 0, 1), (3, UNUSED, UNUSED)]
    assert planned_bytes(net.graph()) == 1008


@pytest.mark.parametrize(
    ("name", "channels", "weights", "options", "scratch"),
    [
        ("CONV_2D", 3, (8, 3, 3, 3), {}, 4 * 28),
        ("CONV_2D", 16, (8, 1, 1, 16), {}, 0),
        ("DEPTHWISE_CONV_2D", 16, (1, 3, 3, 16), {}, 0),
        ("DEPTHWISE_CONV_2D", 16, (1, 5, 5, 16), {}, 800),
        ("DEPTHWISE_CONV_2D", 16, (1, 5, 5, 32), {}, 0),
        ("DEPTHWISE_CONV_2D", 16, (1, 5, 5, 16), {"dilationHFactor": 2, "dilationWFactor": 2}, 0),
        ("AVERAGE_POOL_2D", 16, (), {}, 64),
        ("MAX_POOL_2D", 16, (), {}, 0),
    ],
)
def test_scratch_is_what_cmsis_nn_asks_for(
    name: str, channels: int, weights: tuple[int, ...], options: dict[str, int], scratch: int
) -> None:
    tensors = (
        Tensor(0, "x", (1, 8, 8, channels), "int8"),
        Tensor(1, "w", weights, "int8", is_constant=True),
        Tensor(2, "y", (1, 8, 8, weights[3] if name.startswith("DEPTHWISE") else 8), "int8"),
    )
    operator = Operator(0, name, 1, (0, 1), (2,), options)
    assert sum(cmsis_nn_requests(TfliteGraph(tensors, (operator,), (0,), (2,)), operator)) == scratch


@pytest.mark.parametrize(
    ("name", "image", "weights", "output", "scratch"),
    [
        # 1x1: the weights' copy, 16 rows of channels, 64.
        ("CONV_2D", (8, 8, 16), (32, 1, 1, 16), (8, 8, 32), 16 * 32 + 16 * 16 + 64),
        # The first layer of a gray or RGB network: columns of 32 bytes.
        ("CONV_2D", (8, 8, 3), (8, 3, 3, 3), (8, 8, 8), 4 * 8 + 16 + 8 * 32 + 16 + 32 + 64),
        # 3x3 with one pixel of padding on each side.
        ("CONV_2D", (8, 8, 16), (8, 3, 3, 16), (8, 8, 8), 1600 + 9 * 16 * 8 + 48 * 3 * 8 + 1296 + 32 + 64),
        ("DEPTHWISE_CONV_2D", (8, 8, 16), (1, 3, 3, 16), (8, 8, 16), 144 + 16 + 1600),
        ("DEPTHWISE_CONV_2D", (8, 8, 16), (1, 3, 3, 16), (6, 6, 16), 144 + 16),
        ("DEPTHWISE_CONV_2D", (8, 8, 8), (1, 3, 3, 8), (8, 8, 8), 2 * (72 + 512) + 32),
        ("DEPTHWISE_CONV_2D", (8, 8, 5), (1, 3, 3, 5), (8, 8, 5), None),
        ("SOFTMAX", (1, 1, 10), (), (1, 1, 10), 40),
    ],
)
def test_scratch_is_what_esp_nn_asks_for_on_the_s3(
    name: str, image: tuple[int, ...], weights: tuple[int, ...], output: tuple[int, ...], scratch: int | None
) -> None:
    tensors = (
        Tensor(0, "x", (1, *image), "int8"),
        Tensor(1, "w", weights, "int8", is_constant=True),
        Tensor(2, "y", (1, *output), "int8"),
    )
    operator = Operator(0, name, 1, (0, 1), (2,), {"strideH": 1, "strideW": 1})
    graph = TfliteGraph(tensors, (operator,), (0,), (2,))
    assert esp_nn_s3_requests(graph, operator) == (None if scratch is None else (scratch,))
    assert (esp_nn_arena_bytes(graph, esp_nn_s3_requests) is None) == (scratch is None)


def test_weights_copied_on_the_s3_show_in_its_arena() -> None:
    assert esp_nn_arena_bytes(image_classification(), esp_nn_s3_requests) > 1.9 * cortex_m_arena_bytes(
        image_classification()
    )


def test_float_operators_ask_for_no_scratch() -> None:
    graph = read(FIXTURES / "tiny.float32.tflite")
    assert [cmsis_nn_requests(graph, operator) for operator in graph.operators] == [()] * 6


@pytest.mark.real
def test_planner_gives_the_head_of_the_interpreter_on_real_files(real: Path) -> None:
    heads = {"cifar10_resnet": 49_152, "rock_paper_scissors": 134_480, "visual_wake_words": 138_240}
    assert {name: planned_bytes(read(real / f"{name}.tflite")) for name in heads} == heads


@pytest.mark.skipif(not tflm.is_here(), reason="the tflite-micro interpreter is for Linux x86-64 only")
def test_every_operator_s_head_is_the_interpreter_s(heads_of: Heads) -> None:
    """Scratch of transposed convolutions, LSTM, SVDF, means, paddings, sums of several, weights of 4 bits."""
    cases = [(name, usual_types(name, dtype)) for name in KINDS for dtype in ("float32", "int8", "int16", "bool")]
    cases += [(name, {**usual_types(name, "int8"), "weights": "int4"}) for name in ("CONV_2D", "FULLY_CONNECTED")]
    cases += [("TRANSPOSE_CONV", {**usual_types("TRANSPOSE_CONV", "int16"), "bias": "int16"})]
    ran = {
        (name, tuple(types.items())): (head, planned_bytes(parse(operator_file(name, types), name)))
        for (name, types), head in zip(cases, heads_of(cases), strict=True)
        if isinstance(head, int)
    }
    assert len(ran) > 180
    assert {case: both for case, both in ran.items() if both[0] != both[1]} == {}
    operators = {name for name, _ in ran}
    assert operators >= {"TRANSPOSE_CONV", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM", "MEAN", "MIRROR_PAD", "ADD_N"}


def test_subgraphs_that_an_operator_runs_are_planned_inside_it() -> None:
    """A branch of 4,000 bytes lives beside the input of the IF that runs it, and not beside what comes behind."""
    small, large = ((1, 100), "float32"), ((1, 1000), "float32")
    branch = TfliteGraph(
        (Tensor(0, "x", *small), Tensor(1, "y", *large)), (Operator(0, "TILE", 1, (0,), (1,)),), (0,), (1,)
    )
    options = {"thenSubgraphIndex": 1, "elseSubgraphIndex": 1}
    tensors = (Tensor(0, "a", *small), Tensor(1, "b", *small), Tensor(2, "c", *large))
    calls = (Operator(0, "IF", 1, (0,), (1,), options), Operator(1, "TILE", 1, (1,), (2,)))
    graph = TfliteGraph(tensors, calls, (0,), (2,), 2, others=(branch,))
    assert moments(graph) == ((0, 4), (5, 5))
    assert planned_bytes(graph) == 4000 + 3 * 400


def test_an_arena_that_was_planned_beforehand_is_taken_as_it_is() -> None:
    tensors = (Tensor(0, "a", (1, 64), "int8"), Tensor(1, "b", (1, 32), "int8"), Tensor(2, "c", (1, 16), "int8"))
    calls = (Operator(0, "RELU", 1, (0,), (1,)), Operator(1, "RELU", 1, (1,), (2,)))
    graph = TfliteGraph(tensors, calls, (0,), (2,), arena_offsets=(0, 128, -1))
    assert planned_bytes(graph) == 160


def test_states_count_for_the_arena_of_a_device() -> None:
    """Variables lie beside the tables: they are no part of the head, and TFLM keeps them all the same."""
    plain = read_types("SVDF", variable=False)
    assert tail_bytes(read_types("SVDF", variable=True)) - tail_bytes(plain) == 64


def read_types(name: str, *, variable: bool) -> TfliteGraph:
    graph = parse(operator_file(name, usual_types(name, "int8")), name)
    return replace(graph, tensors=tuple(replace(t, is_variable=t.is_variable and variable) for t in graph.tensors))


@pytest.mark.skipif(not tflm.is_here(), reason="the tflite-micro interpreter is for Linux x86-64 only")
def test_a_net_of_many_small_tensors_needs_what_its_planning_takes(tmp_path: Path) -> None:
    path, draft = tmp_path / "chain.tflite", Draft()
    places = [draft.tensor((1, 4), "float32") for _ in range(81)]
    for source, target in pairwise(places):
        draft.operator("RELU", [source], [target])
    path.write_bytes(draft.file(places[:1], places[-1:]))
    arena, graph = tflm.smallest_arena_bytes(path), read(path)
    assert arena.head_bytes == planned_bytes(graph) == 32
    assert abs(arena.smallest_bytes - arena.tail_bytes - planning_bytes(graph, wide=True)) <= 48
    assert cortex_m_arena_bytes(graph) - tail_bytes(graph) == planning_bytes(graph) > 100 * 32
