"""The memory plan: no more than what it has to be, and proven before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecut.engine import generate, plan
from edgecut.engine.network import read_network
from edgecut.engine.plan import whole
from edgecut.engine.program import program
from edgecut.engine.replay import check
from edgecut.errors import ExportError
from tools.int8_net import Int8Net

FIXTURE = Path(__file__).parents[1] / "fixtures" / "tiny.int8.tflite"


def test_a_plan_says_what_the_c_text_needs() -> None:
    made = generate(FIXTURE, "tiny")
    assert made.plan == plan(FIXTURE)
    assert made.arena_bytes == made.plan.arena_bytes == 1680
    assert max(used for _, used in made.plan.usage) <= 1680
    assert f"#define TINY_ARENA_BYTES {made.arena_bytes}\n" in made.files["tiny_run.h"]


def test_a_place_that_is_a_byte_off_is_found_by_the_replay() -> None:
    network = read_network(FIXTURE.read_bytes(), "tiny")
    made = program(network, whole(network))
    check(network, made)
    for node, places in enumerate(made.places):
        moved = (*places[:-1], replace(places[-1], at=places[-1].at + 1))
        wrong = replace(made, places=(*made.places[:node], moved, *made.places[node + 1 :]))
        with pytest.raises(ExportError, match="the schedule isn't exact at"):
            check(network, wrong)


def test_a_line_buffer_of_one_row_too_few_is_found_by_the_replay() -> None:
    network = read_network(FIXTURE.read_bytes(), "tiny")
    made = program(network, whole(network))
    shorter = tuple(tuple(replace(place, rows=max(place.rows - 1, 1)) for place in places) for places in made.places)
    with pytest.raises(ExportError, match="the schedule isn't exact at"):
        check(network, replace(made, places=shorter))


def in_a_row(kinds: Sequence[str]) -> bytes:
    """Operators of single values in a row, on an image of 6 x 5 x 4 = 120 bytes."""
    net = Int8Net(np.random.default_rng(1), tame=True)
    x = image = net.image((1, 6, 5, 4))
    for kind in kinds:
        x = net.binary("ADD", x, net.unary("RELU", x)) if kind == "ADD" else net.unary(kind, x)
    return net.file([image], [x])


def test_operators_of_single_values_write_over_what_they_read() -> None:
    made = generate(in_a_row(("RELU", "HARD_SWISH", "SOFTMAX", "LEAKY_RELU")), "net")
    assert (made.arena_bytes, made.plan.moved_bytes) == (120, 0)


def test_an_operand_that_is_still_to_be_read_is_not_written_over() -> None:
    """RELU's row takes a place of its own, which ADD, that needs both, then frees."""
    made = generate(in_a_row(("ADD",)), "net")
    assert made.arena_bytes == 120 + 20


def test_a_row_over_one_that_the_kernel_reads_later_is_found_by_the_replay() -> None:
    network = read_network(in_a_row(("RELU", "HARD_SWISH")), "net")
    made = program(network, whole(network))
    check(network, made)
    apart = tuple(
        replace(node, operands=tuple(replace(operand, in_place=False) for operand in node.operands))
        for node in network.nodes
    )
    with pytest.raises(
        ExportError, match=r"the schedule isn't exact at RELU \(operator 0\), step 0; nothing was written"
    ):
        check(replace(network, nodes=apart), made)


def test_line_buffers_that_are_never_full_at_once_share_their_bytes() -> None:
    """Each 1 x 1 convolution's row lasts until the next has read it: two rows of 80 bytes, however many there are."""
    net = Int8Net(np.random.default_rng(1), tame=True)
    x = image = net.image((1, 6, 5, 4))
    for depth in (16, 16, 16, 16, 4):
        x = net.conv(x, depth, (1, 1))
    assert generate(net.file([image], [x]), "net").arena_bytes == 120 + 2 * 80


def test_many_operators_in_a_row_are_planned_with_one_tensor_and_the_rows_of_a_window() -> None:
    net = Int8Net(np.random.default_rng(1), tame=True)
    x = image = net.image((1, 12, 8, 4))
    for _ in range(100):
        x = net.unary("RELU", net.conv(x, 4, (3, 3)))
    assert plan(net.file([image], [x])).arena_bytes == 12 * 32 + 2 * 32


def test_an_image_that_is_averaged_never_stands_in_memory() -> None:
    """Its rows of 10 x 32 bytes are added to sums of 32 bits for each of the 32 channels."""
    net = Int8Net(np.random.default_rng(1), tame=True)
    x = image = net.image((1, 10, 10, 1))
    x = net.reduce("MEAN", net.conv(x, 32, (1, 1)), [1, 2], keep=True)
    assert plan(net.file([image], [x])).arena_bytes == 100 + 320 + 32 * 4 - 10


@pytest.mark.parametrize("reshaped", [True, False])
def test_an_image_that_a_dense_layer_flattens_never_stands_in_memory(*, reshaped: bool) -> None:
    net = Int8Net(np.random.default_rng(1), tame=True)
    image = net.image((1, 10, 10, 1))
    x = net.conv(image, 32, (1, 1))
    x = net.dense(net.reshape(x, (1, 3200)) if reshaped else x, 6, per_channel=True)
    assert plan(net.file([image], [x])).arena_bytes == 100 + 320 + 6 * 4 - 10


def test_an_image_that_is_averaged_and_read_again_stands_there_once() -> None:
    net = Int8Net(np.random.default_rng(1), tame=True)
    image = net.image((1, 10, 10, 1))
    x = net.conv(image, 32, (1, 1))
    x = net.binary("MUL", x, net.reduce("MEAN", x, [1, 2], keep=True))
    assert plan(net.file([image], [x])).arena_bytes == 3200 + 32


def test_sums_that_another_tensor_lies_over_are_found_by_the_replay() -> None:
    net = Int8Net(np.random.default_rng(1), tame=True)
    image = net.image((1, 10, 10, 1))
    network = read_network(
        net.file([image], [net.reduce("MEAN", net.conv(image, 32, (1, 1)), [1, 2], keep=True)]), "net"
    )
    made = program(network, whole(network))
    check(network, made)
    convolution, adding, end = made.places
    over = replace(adding[1], at=convolution[1].at - 100)
    with pytest.raises(ExportError, match="the schedule isn't exact at"):
        check(network, replace(made, places=(convolution, (adding[0], over), (over, end[1]))))


def time_series(*shape: int) -> bytes:
    """Two convolutions over three steps of 40 steps of 4 values, and their mean, in a shape of three or four axes."""
    net = Int8Net(np.random.default_rng(1), tame=True)
    image = net.image(shape)
    x = net.conv(net.reshape(image, (1, 1, 40, 4)), 8, (1, 3))
    x = net.reshape(net.conv(x, 8, (1, 3)), (1, 40, 8))
    return net.file([image], [net.reduce("MEAN", x, [1], keep=False)])


@pytest.mark.parametrize("shape", [(1, 40, 4), (1, 1, 40, 4), (1, 40, 1, 4)])
def test_a_series_comes_by_steps_of_time(shape: tuple[int, ...]) -> None:
    """Windows of 3 x 4 and 3 x 8 bytes, 8 sums, and a step of 8; the cursor has 2 bytes for each of 4 + 4."""
    made = generate(time_series(*shape), "net")
    header = made.files["net_run.h"]
    assert "#define NET_ROWS 40\n#define NET_ROW_BYTES 4\n" in header
    assert f'/* Input "t0": {" x ".join(map(str, shape))}, int8;' in header
    assert made.rows_arena_bytes == 3 * 4 + 3 * 8 + 4 * 8 + 8 + 2 * (4 + 4)


@pytest.mark.parametrize("shape", [(8,), (1, 8), (1, 1, 8)])
def test_a_series_that_is_weighed_by_channel_comes_by_steps_of_time(shape: tuple[int, ...]) -> None:
    """Squeeze-and-excite, whose weights a converter leaves without the axis of time."""
    net = Int8Net(np.random.default_rng(1), tame=True)
    image = net.image((1, 40, 4))
    x = net.reshape(net.conv(net.reshape(image, (1, 1, 40, 4)), 8, (1, 3)), (1, 40, 8))
    weights = net.reshape(net.unary("LOGISTIC", net.reduce("MEAN", x, [1], keep=False)), shape)
    made = generate(net.file([image], [net.binary("MUL", x, weights)]), "net")
    assert "#define NET_ROWS 40\n#define NET_ROW_BYTES 4\n" in made.files["net_run.h"]
    assert (made.arena_bytes, made.rows_arena_bytes) == (328, 344)


def test_a_model_that_has_an_image_beside_a_series_keeps_its_rows() -> None:
    net = Int8Net(np.random.default_rng(1), tame=True)
    steps, image = net.image((1, 1, 9, 4)), net.image((1, 6, 5, 4))
    ends = [net.conv(steps, 2, (1, 3)), net.conv(image, 2, (3, 3))]
    network = read_network(net.file([steps, image], ends), "net")
    assert [network.storages[k].view.rows for k in network.inputs] == [1, 6]


@pytest.mark.parametrize("axes", [[3], [1, 2], [1]])
def test_a_mean_over_axes_of_one_element_still_steps(axes: list[int]) -> None:
    """Cortex-M4's kernel runs up to an address, which a step of 0 never leaves: the mean of nothing came out."""
    net = Int8Net(np.random.default_rng(1))
    image = net.image((1, 1, 1, 1) if axes != [3] else (1, 9, 8, 1))
    network = read_network(net.file([image], [net.reduce("MEAN", image, axes, keep=True)]), "net")
    fields = network.nodes[0].call.fields
    assert all(fields[f"{name}_step_{k}"] != 0 for name in ("kept", "over") for k in range(2))


def test_a_part_of_a_split_that_nothing_reads_is_not_made() -> None:
    net = Int8Net(np.random.default_rng(1))
    x = net.image((1, 6, 5, 4))
    first, _, third, fourth = net.split(x, 3, 4)
    made = generate(net.file([x], [first, net.binary("ADD", third, fourth)]), "net")
    assert made.files["net_run.c"].count("/* SPLIT (operator 0) */") == 3
