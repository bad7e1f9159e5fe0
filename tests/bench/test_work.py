"""Amounts of work, counted by hand, and the time and band that prices make of them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edgecut.bench.predict import predict_latency
from edgecut.bench.work import work
from edgecut.records.document import parse
from edgecut.records.measurement import Measurement
from edgecut.records.profile import Profile
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph


def graph() -> TfliteGraph:
    """A 3x3 of one channel, a 1x1, a 5x5 by channels, a sigmoid, a sum, and a dense layer, on 4x4."""
    shapes: list[tuple[tuple[int, ...], str, bool]] = [
        ((1, 4, 4, 1), "int8", False), ((8, 3, 3, 1), "int8", True), ((1, 4, 4, 8), "int8", False),
        ((6, 1, 1, 8), "int8", True), ((1, 4, 4, 6), "int8", False), ((1, 5, 5, 6), "int8", True),
        ((1, 4, 4, 6), "int8", False), ((1, 4, 4, 6), "int8", False), ((1, 4, 4, 6), "int8", False),
        ((10, 96), "int8", True), ((1, 10), "int8", False), ((2,), "int32", True), ((1, 96), "int8", False),
    ]  # fmt: skip
    tensors = tuple(Tensor(k, "", shape, dtype, is_constant=held) for k, (shape, dtype, held) in enumerate(shapes))
    rows = [("CONV_2D", (0, 1), 2), ("CONV_2D", (2, 3), 4), ("DEPTHWISE_CONV_2D", (4, 5), 6), ("LOGISTIC", (6,), 7),
            ("ADD", (6, 7), 8), ("RESHAPE", (8, 11), 12), ("FULLY_CONNECTED", (12, 9), 10)]  # fmt: skip
    operators = tuple(Operator(k, name, 1, fed, (made,)) for k, (name, fed, made) in enumerate(rows))
    return TfliteGraph(tensors, operators, (0,), (10,))


AMOUNTS = {
    "narrow.macs": 16 * 8 * 9, "pointwise.macs": 16 * 6 * 8, "broad.macs": 16 * 6 * 25, "dense.macs": 960,
    "results": 128 + 96 + 96 + 10, "curves": 96, "moved": 3 * 96, "weights": 72 + 48 + 150 + 960, "operators": 6,
}  # fmt: skip


def test_the_work_of_each_kind() -> None:
    assert work(graph()) == AMOUNTS


def test_activations_beyond_the_internal_memory_are_far() -> None:
    # The 1x1 moves 128 + 96 bytes, the sum three times 96.
    assert work(graph(), 200)["far"] == 24 + 88


def test_a_convolution_whose_result_a_pool_alone_reads_is_one_step_with_it() -> None:
    tensors = (*graph().tensors[:3], Tensor(3, "", (1, 4, 4, 8), "int8"), Tensor(4, "", (1, 2, 2, 8), "int8"))
    rows = [("CONV_2D", (0, 1), 2), ("LEAKY_RELU", (2,), 3), ("MAX_POOL_2D", (3,), 4)]
    operators = tuple(Operator(k, name, 1, fed, (made,)) for k, (name, fed, made) in enumerate(rows))
    # The picture and what the pool writes, 16 + 32 bytes; with a second reader each step moves its own.
    assert work(TfliteGraph(tensors, operators, (0,), (4,)), 40)["far"] == 8
    again = (*operators, Operator(3, "ADD", 1, (2, 2), (3,)))
    assert work(TfliteGraph(tensors, again, (0,), (4,)), 40)["far"] == (144 - 40) + (256 - 40) + (160 - 40) + (384 - 40)


def test_convolutions_whose_weights_leave_the_flash_are_distant() -> None:
    assert work(graph(), flash_bytes=1000)["distant.macs"] == AMOUNTS["narrow.macs"] + AMOUNTS["pointwise.macs"]
    assert "distant.macs" not in work(graph(), flash_bytes=2000)


def test_a_convolution_of_few_channels_is_narrow_and_a_square_by_channels_is_depthwise() -> None:
    wide = Tensor(1, "", (8, 3, 3, 4), "int8", is_constant=True)
    square = Tensor(5, "", (1, 3, 3, 6), "int8", is_constant=True)
    tensors = tuple({1: wide, 5: square}.get(tensor.index, tensor) for tensor in graph().tensors)
    found = work(TfliteGraph(tensors, graph().operators, (0,), (10,)))
    assert (found["conv.macs"], found["depthwise.macs"]) == (16 * 8 * 36, 16 * 6 * 9)
    assert not {"narrow.macs", "broad.macs"} & set(found)


TABLE: dict[str, Any] = {
    "precision": "int8", "seconds": {"narrow.macs": 1e-6, "operators": 1e-5}, "clock_hz": 100_000_000,
    "nets": 7, "families": 4, "error_p50": 0.1, "error_p90": 0.3, "seen": {"narrow.macs": 1.0, "operators": 1.0},
    "versions": {"2": 0.5}, "threads": 2, "thread_factors": {"1": 1.9},
}  # fmt: skip
SECONDS = 1152e-6 + 6e-5


def estimate(kind: str = "linux", version: str = "1", clock_hz: int = 100_000_000, **changes: Any) -> Measurement:
    threads = changes.pop("ask", None)
    tables: dict[str, Any] = {
        "id": "board", "title": "Board", "class": kind, "cpu": {"clock_hz": clock_hz},
        "runtime": {"name": "litert", "version": version},
        "latency": {"kind": "published", "error_p50": 0.1, "error_p90": 0.3, "work": [TABLE | changes]},
    }  # fmt: skip
    return predict_latency(graph(), parse(Profile, tables, "board.toml"), "m", threads)


def test_the_sum_of_amounts_and_prices_with_what_it_rests_on() -> None:
    found = estimate()
    assert found.value == pytest.approx(SECONDS)
    assert found.error == pytest.approx(0.3)
    assert found.method == "prices by kind of work, fitted to 7 measured nets of 4 families"
    assert found.conditions == {
        "precision": "int8",
        "error_p50": pytest.approx(0.1),
        "nets": 7,
        "families": 4,
        "threads": 2,
    }


def test_the_clock_and_the_version_of_the_runtime_change_the_time() -> None:
    assert estimate(clock_hz=50_000_000).value == pytest.approx(2 * SECONDS)
    assert estimate(version="2").value == pytest.approx(SECONDS / 2)


def test_threads_change_the_time_or_it_is_unknown() -> None:
    assert estimate(ask=1).value == pytest.approx(1.9 * SECONDS)
    assert estimate(ask=2).value == pytest.approx(SECONDS)
    unknown = estimate(ask=4)
    reason = "the figures behind profile 'board' are of 2 threads, and nothing tells of 4"
    assert (unknown.value, unknown.reason) == (None, reason)
    assert estimate("microcontroller", ask=4).value == pytest.approx(SECONDS)


def test_work_that_no_measured_net_had_so_much_of_widens_the_band() -> None:
    found = estimate(seen={"narrow.macs": 0.5, "operators": 1.0})
    share = 1152e-6 / SECONDS - 0.5
    assert found.error == pytest.approx(1.3 ** (1 + 0.5 * share) - 1)
    assert found.conditions["unseen_share"] == round(share, 2)


def test_a_time_beyond_the_measured_ones_widens_the_band() -> None:
    found = estimate(least_s=SECONDS / 4, most_s=SECONDS / 2)
    assert found.error == pytest.approx(1.3 ** (1 + 0.1 * math.log(2)) - 1)
    assert found.conditions["times_outside"] == 2.0


def test_few_families_are_said() -> None:
    assert estimate(nets=2, families=2).method == (
        "prices by kind of work, fitted to 2 measured nets of 2 families; of so few families the band is what other "
        "boards give"
    )
