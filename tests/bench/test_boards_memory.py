"""The memory of ST's runtime against the figures that its model zoo prints."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from edgecut.bench.predict import predict_arena, predict_flash
from edgecut.records.profile_files import read_profile
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph
from edgecut.tflite.x_cube_ai import ERROR, FLASH_ERROR, activation_bytes, code_bytes, planning, runtime_bytes
from tools.boards.graphs import DATA, nets
from tools.boards.memory import SERIES, estimate_kib, fitted, flash_errors, memory_rows, quantile, share

PROFILES = Path(__file__).parents[2] / "profiles"
STEM = "mobilenet 96x96x3 5 alpha=0.25 top=no"


def table() -> list[dict[str, str]]:
    with open(DATA / "measurements.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_nine_tenths_of_the_activation_ram_of_h7_and_u5_are_within_a_tenth() -> None:
    rows = [row for row in memory_rows(table(), left_out=False) if row.board.startswith(SERIES)]
    errors = [abs(row.error) for row in rows]
    assert len(rows) >= 126
    assert share(errors) >= 0.9


def test_a_family_that_the_constants_never_saw_is_within_the_stated_band() -> None:
    newest = [row for row in table() if row["version"] in {"3.0.0", "4.0.0"}]
    rows = [row for row in memory_rows(newest) if row.board.startswith(SERIES)]
    assert quantile([abs(row.left_out_error) for row in rows]) <= ERROR


@pytest.mark.parametrize(
    ("graph", "version", "printed"),
    [
        ("mobilenetv2 128x128x3 1000 alpha=0.35", "3.0.0", 237.32),
        ("st_yolo_lc 256x256x3 1", "8.1.0", 272.06),
        ("tiny_yolo_v2 416x416x3 1", "8.1.0", 713.02),
        ("miniresnet 64x50x1 10 stacks=2", "10.0.0", 59.89),
        ("yamnet 64x96x1 10 embedding=256", "3.0.0", 109.57),
    ],
)
def test_activation_ram_of_a_net_is_near_the_printed(graph: str, version: str, printed: float) -> None:
    estimated = activation_bytes(nets()[graph], planning(version)) / 1024
    assert estimated == pytest.approx(printed, rel=0.1)


def test_expansions_of_mobilenet_v2_under_version_8_are_exact_but_for_the_margin() -> None:
    graph = nets()["mobilenetv2 224x224x3 5 alpha=0.35 top=no"]
    # 112x112 of 8 and of 48 channels, and 4 bytes for each channel read, 10 for each made: 686.5 KiB are printed.
    assert activation_bytes(graph, planning("8.1.0")) == pytest.approx(686.5 * 1024 * 1.02, abs=1)


def test_an_output_that_is_a_constant_is_a_copy_in_floats() -> None:
    image, made = Tensor(0, "", (1, 4, 4, 8), "int8"), Tensor(1, "", (1, 4, 4, 8), "int8")
    anchors = Tensor(2, "", (1, 10, 4), "int8", is_constant=True)
    operators = (Operator(0, "LOGISTIC", 1, (0,), (1,)),)
    without = TfliteGraph((image, made, anchors), operators, (0,), (1,))
    having = TfliteGraph((image, made, anchors), operators, (0,), (1, 2))
    constants = planning("8.1.0")
    more = activation_bytes(having, constants) - activation_bytes(without, constants)
    assert more == pytest.approx(160 * constants.margin, abs=1)


def test_constants_fitted_without_a_family_are_of_the_grid() -> None:
    rows = [row for row in table() if row["version"] == "4.0.0" and row["activation_ram_kib"] and row["graph"]]
    constants = fitted(rows, planning("4.0.0"))
    errors = [abs(estimate_kib(row, constants) / float(row["activation_ram_kib"]) - 1) for row in rows]
    assert share(errors) >= 0.8


def test_bench_gives_ram_and_flash_of_an_st_board_with_their_parts() -> None:
    profile, graph = read_profile(PROFILES / "stm32h747i-disco.toml"), nets()[STEM]
    arena, flash = predict_arena(graph, profile, "net"), predict_flash(graph, profile, "net")
    assert arena is not None
    assert flash is not None
    version = profile.runtime.version
    activations, resident = activation_bytes(graph, planning(version)), runtime_bytes(graph, version)
    assert (arena.value, arena.error, arena.kind) == (activations + resident, ERROR, "estimated")
    assert arena.conditions["activation_bytes"] == activations
    assert (flash.value, flash.error) == (219_844 + code_bytes(graph, version), FLASH_ERROR)


def test_nine_tenths_of_the_printed_flash_are_within_the_stated_band() -> None:
    errors = [abs(error) for error in flash_errors(table())]
    assert len(errors) >= 120
    assert quantile(errors) <= FLASH_ERROR


def test_flash_of_another_runtime_is_not_known_by_this_rule() -> None:
    profile = read_profile(PROFILES / "nucleo-l4r5zi.toml")
    assert predict_flash(nets()[STEM], profile, "net") is None
