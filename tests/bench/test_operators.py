"""The time of each operator of a file."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgecut.bench.litert_profile import SIZES, Event, read_events
from edgecut.bench.operators import OperatorTime, layers_of, operator_times, with_shares
from edgecut.bench.runners import tflm
from edgecut.bench.runners.local import Local
from edgecut.errors import RunError
from edgecut.records.usage import FileTimes, OperatorTimes
from edgecut.render.operator_times import sums
from edgecut.tflite.arena import planned_bytes
from edgecut.tflite.cut import cut_tflite
from edgecut.tflite.flatbuffer import parse, read
from tests.command_line import run

if TYPE_CHECKING:
    from edgecut.bench.jobs import Job, Result, Row

FIXTURES = Path(__file__).parents[1] / "fixtures"
PARTS = [
    *(("cifar10_resnet", k) for k in (0, 2, 3, 6, 13)), *(("visual_wake_words", k) for k in (1, 2, 9, 29)),
    *(("rock_paper_scissors", k) for k in (0, 1, 2, 4)),
]  # fmt: skip


def test_every_operator_of_a_tflite_file_is_timed_and_called_by_its_layer() -> None:
    rows = operator_times(FIXTURES / "tiny.int8.tflite", runs=2, warmup=1).one_by_one.rows
    assert [(row.operator, row.layer) for row in rows] == [
        ("CONV_2D", "stem"), ("DEPTHWISE_CONV_2D", "depthwise"), ("CONV_2D", "pointwise"), ("AVERAGE_POOL_2D", "pool"),
        ("FULLY_CONNECTED", "scores"), ("SOFTMAX", ""),
    ]  # fmt: skip
    assert all(row.seconds is not None and row.seconds > 0 for row in rows)
    assert rows[-1].cumulative == pytest.approx(1)


def test_the_operators_of_an_onnx_file_come_from_its_runtime() -> None:
    found = operator_times(FIXTURES / "tiny.float32.onnx", runs=2, warmup=1)
    rows, method, _ = found.in_graph
    assert found.file_s
    assert sums(found)[-1:] == [
        "one by one none: operators are timed one by one of a .tflite file alone, which can be cut at each"
    ]
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
    found = json.loads(result.out)
    shape = ["cumulative", "index", "layer", "operator", "reason", "seconds", "share"]
    assert [sorted(row) for row in found["operators"]] == [shape] * 6
    assert {tuple(sorted(row)) for row in found["operators_in_graph"]} == {tuple(shape)}
    assert (found["operators_in_graph_reason"], sorted(found["operators_s"])) == (
        "",
        ["file", "in_graph", "one_by_one"],
    )


@pytest.mark.parametrize(
    ("name", "operators"),
    [
        ("tiny.int8.tflite", {"Convolution (NHWC, QC8) IGEMM", "AVERAGE_POOL_2D"}),
        ("tiny.int16x8.tflite", {"CONV_2D", "AVERAGE_POOL_2D"}),
        ("tiny.float32.tflite", {"Convolution (NHWC, F32) IGEMM", "Fully Connected (NC, F32) GEMM"}),
    ],
)
def test_the_operators_in_the_graph_come_from_litert_s_own_profile(name: str, operators: set[str]) -> None:
    found = operator_times(FIXTURES / name, runs=2, warmup=1)
    assert found.in_graph.method.startswith("LiteRT's own profile")
    assert operators <= {row.operator for row in found.in_graph.rows}
    assert [row.layer for row in found.in_graph.rows if row.layer][:3] == ["stem", "depthwise", "pointwise"]
    assert found.file_s
    assert found.file_s > 0


def test_xnnpack_s_kernels_have_layers_only_where_they_are_as_many_and_of_the_kind() -> None:
    graph = read(FIXTURES / "tiny.int8.tflite")
    rows: list[Row] = [
        {"operator": "Convolution (NHWC, QC8) IGEMM"}, {"operator": "Convolution (NHWC, QC8) DWConv"},
        {"operator": "Fully Connected (NC, QS8, QC8W) GEMM"}, {"operator": "AVERAGE_POOL_2D", "node": 3},
        {"operator": "Static Reshape (NC)"}, {"operator": "Fully Connected (NC, QS8, QC8W) GEMM"},
    ]  # fmt: skip
    assert layers_of(rows, graph) == ["stem", "depthwise", "pointwise", "pool", "", "scores"]
    assert layers_of(rows[:-1], graph) == ["", "", "", "pool", ""]
    assert layers_of([rows[2], *rows[1:]], graph) == ["stem", "depthwise", "pointwise", "pool", "", "scores"]
    assert layers_of([*rows[1:], {"operator": "Deconvolution"}], graph) == ["", "", "pool", "", "", ""]


def event(kind: int, microseconds: int, node: int = 0, subgraph: int = 0, between: int = 6) -> tuple[int, ...]:
    """tag, type, start, duration; `between` words of memory; two metadata, source."""
    return (7, kind, 100, microseconds, *([300] * between), node, subgraph, 0)


@pytest.mark.parametrize("between", [4, 6, 8])
def test_a_profile_is_read_in_any_size_of_its_events(between: int) -> None:
    listed = [(1, 9, 0), (2, 5, 3), (8, 4, 0), (32, 1 << 32, 0)]
    words = [word for kind, us, node in listed for word in event(kind, us, node, between=between)]
    content = struct.pack(f"{len(words)}Q", *words).ljust(4 * max(SIZES), b"\0")
    assert read_events(content, 4, lambda address: f"text {address}") == [
        Event("text 7", 3, 5e-6), Event("text 7", None, 4e-6),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (event(3, 3), "this LiteRT's profile has a form that isn't known"),
        (event(2, 1, subgraph=1), "it has loops or branches, whose operators LiteRT's profiler tells of twice"),
        (event(1, 1), "LiteRT's profiler told of no operator"),
    ],
)
def test_a_profile_that_can_t_be_told_apart_is_refused(words: tuple[int, ...], message: str) -> None:
    content = struct.pack(f"{2 * len(words)}Q", *event(1, 5), *words).ljust(2 * max(SIZES), b"\0")
    with pytest.raises(RuntimeError) as caught:
        read_events(content, 2, str)
    assert str(caught.value) == message


def test_without_a_profile_the_operators_are_timed_one_by_one_and_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_job = Local.run

    def run(self: Local, job: Job, files: Sequence[Path], *, timeout_s: float) -> Result:
        if job["job"] == "litert_operators":
            raise RunError(f"{files[0]}: this ai-edge-litert has no profiler; 2.3 and newer do")
        return run_job(self, job, files, timeout_s=timeout_s)

    monkeypatch.setattr(Local, "run", run)
    found = operator_times(FIXTURES / "tiny.int8.tflite", runs=2, warmup=1)
    assert sums(found)[1:] == ["in graph none: this ai-edge-litert has no profiler; 2.3 and newer do"]
    assert len(found.one_by_one.rows) == 6


def test_the_sums_of_both_ways_stand_beside_each_other() -> None:
    told = OperatorTimes((OperatorTime(0, "Convolution", "", 0.0031),), "a profile")
    alone = OperatorTimes((OperatorTime(0, "CONV_2D", "", 0.0039),), "alone")
    assert sums(FileTimes(told, alone, 0.0033)) == ["in graph 3.1 ms, one by one 3.9 ms, the whole file 3.3 ms"]
    assert sums(FileTimes(told, alone, 0.0029)) == [
        "in graph 3.1 ms, one by one 3.9 ms, the whole file 2.9 ms",
        "in graph is more than the whole file: the profiler's own cost, or other work, is in its times",
    ]


@pytest.fixture(scope="module")
def truncated(real: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], tuple[bytes, int | str]]:
    """(file, place) -> the part before the place, and the head of its arena as the interpreter records it."""
    folder, parts = tmp_path_factory.mktemp("parts"), dict[Path, bytes]()
    for name, place in PARTS:
        parts[folder / f"{name}_{place}.tflite"] = cut_tflite((real / f"{name}.tflite").read_bytes(), (place,))
    for path, part in parts.items():
        path.write_bytes(part)
    heads = tflm.interpreter_heads(list(parts))
    return dict(zip(PARTS, zip(parts.values(), heads, strict=True), strict=True))


@pytest.mark.real
@pytest.mark.skipif(not tflm.is_here(), reason="the tflite-micro interpreter is for Linux x86-64 only")
@pytest.mark.parametrize(("name", "place"), PARTS)
def test_the_planner_gives_the_head_of_the_interpreter_on_truncated_files(
    name: str, place: int, truncated: dict[tuple[str, int], tuple[bytes, int | str]]
) -> None:
    part, head = truncated[name, place]
    assert planned_bytes(parse(part, "part")) == head
