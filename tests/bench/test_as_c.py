"""A file on a board whose runtime is generated C."""

from __future__ import annotations

from pathlib import Path

from edgecut.bench.judge import judge
from edgecut.bench.measure import on_device
from edgecut.engine import plan
from edgecut.export.readback import read_artifact
from edgecut.records.artifact import Artifact
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Recipe

FIXTURES = Path(__file__).parent.parent / "fixtures"
INT8 = FIXTURES / "tiny.int8.tflite"
NO_TIME = (
    "no time of generated C on a board is known; `--runner qemu` counts its instructions, which are no time: wait "
    "states, caches and dual issue are invisible there"
)


def artifact() -> Artifact:
    return read_artifact(INT8, name=INT8.name, precision="int8")


def test_its_work_buffer_is_exact_and_its_time_is_not_known() -> None:
    arena, latency = on_device(INT8, find_profile("nano33ble-c"), INT8.name)
    assert (arena.metric, arena.kind, arena.value) == ("arena", "measured", plan(INT8).arena_bytes)
    assert arena.of_c
    assert (latency.metric, latency.value, latency.reason) == ("latency", None, NO_TIME)


def test_its_limit_is_judged_by_the_c_and_the_interpreter_s_by_the_interpreter() -> None:
    boards = [find_profile("nano33ble"), find_profile("nano33ble-c")]
    rows = [m for board in boards for m in on_device(INT8, board, INT8.name)]
    recipe = Recipe.model_validate({"schema": "edgecut.recipe/1", "name": "tiny", "source": {"model": "x.keras"}})
    checks = {c.profile: c for c in judge(recipe, boards, [artifact()], rows) if c.metric == "arena"}
    assert checks["nano33ble-c"].value == plan(INT8).arena_bytes
    assert (checks["nano33ble-c"].state, checks["nano33ble-c"].basis) == ("meets", "measured")
    assert (checks["nano33ble"].value or 0) > plan(INT8).arena_bytes


def test_a_file_in_float_is_not_for_it() -> None:
    rows = on_device(FIXTURES / "tiny.float32.tflite", find_profile("nano33ble-c"), "tiny")
    assert [(m.metric, m.value, m.reason) for m in rows] == [
        ("arena", None, "nano33ble-c runs int8, and the file computes in float32"),
        ("latency", None, "nano33ble-c runs int8, and the file computes in float32"),
    ]
