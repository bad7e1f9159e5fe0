"""The time of each operator of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecut.bench.operators import OperatorTime, operator_times, with_shares
from edgecut.bench.runners import tflm
from edgecut.tflite.arena import planned_bytes
from edgecut.tflite.cut import cut_tflite
from edgecut.tflite.flatbuffer import parse
from tests.command_line import run

FIXTURES = Path(__file__).parents[1] / "fixtures"
PARTS = [
    *(("cifar10_resnet", k) for k in (0, 2, 3, 6, 13)), *(("visual_wake_words", k) for k in (1, 2, 9, 29)),
    *(("rock_paper_scissors", k) for k in (0, 1, 2, 4)),
]  # fmt: skip


def test_every_operator_of_a_tflite_file_is_timed_and_called_by_its_layer() -> None:
    rows, _ = operator_times(FIXTURES / "tiny.int8.tflite", runs=2, warmup=1)
    assert [(row.operator, row.layer) for row in rows] == [
        ("CONV_2D", "stem"), ("DEPTHWISE_CONV_2D", "depthwise"), ("CONV_2D", "pointwise"), ("AVERAGE_POOL_2D", "pool"),
        ("FULLY_CONNECTED", "scores"), ("SOFTMAX", ""),
    ]  # fmt: skip
    assert all(row.seconds is not None and row.seconds > 0 for row in rows)
    assert rows[-1].cumulative == pytest.approx(1)


def test_the_operators_of_an_onnx_file_come_from_its_runtime() -> None:
    rows, method = operator_times(FIXTURES / "tiny.float32.onnx", runs=2, warmup=1)
    assert method.startswith("ONNX Runtime's own profile")
    assert all(row.seconds is not None and row.seconds >= 0 for row in rows)
    assert {("AveragePool", "pool"), ("MatMul", "scores")} <= {(r.operator, r.layer) for r in rows}
    assert rows[-1].cumulative == pytest.approx(1)


def test_shares_add_up_and_what_has_no_time_has_no_share() -> None:
    rows = with_shares(
        [OperatorTime(0, "A", "", 3.0), OperatorTime(1, "B", "", None, reason="why"), OperatorTime(2, "C", "", 1.0)]
    )
    assert [(row.share, row.cumulative) for row in rows] == [(0.75, 0.75), (None, None), (0.25, 1.0)]


def test_bench_lists_the_operators_in_one_shape(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(FIXTURES / "tiny.int8.tflite")
    result = run(capsys, "bench", path, "--operators", "--runs", "2", "--warmup", "1", "--json")
    rows = json.loads(result.out)["operators"]
    assert [sorted(row) for row in rows] == [
        ["cumulative", "index", "layer", "operator", "reason", "seconds", "share"]
    ] * 6


@pytest.mark.real
@pytest.mark.skipif(not tflm.is_here(), reason="the tflite-micro interpreter is for Linux x86-64 only")
@pytest.mark.parametrize(("name", "place"), PARTS)
def test_the_planner_gives_the_head_of_the_interpreter_on_truncated_files(
    name: str, place: int, real: Path, tmp_path: Path
) -> None:
    part = cut_tflite((real / f"{name}.tflite").read_bytes(), (place,))
    path = tmp_path / "part.tflite"
    path.write_bytes(part)
    assert planned_bytes(parse(part, "part")) == tflm.smallest_arena_bytes(path).head_bytes
