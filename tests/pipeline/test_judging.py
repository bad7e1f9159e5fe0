"""Budgets against measurements."""

from __future__ import annotations

from typing import Any

import pytest

from edgecut.bench.fits import arena_limit
from edgecut.bench.judge import judge
from edgecut.records.artifact import Artifact, TensorSpec
from edgecut.records.measurement import UNITS, Measurement, missing
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import make_recipe
from edgecut.records.report import Check, overall

SPEC = TensorSpec(name="input", shape=(1, 8, 8, 1), dtype="int8")
FILE = Artifact(
    name="m.int8.tflite", path="m", format="tflite", precision="int8", sha256="", size_bytes=1000, inputs=(SPEC,),
    outputs=(SPEC,), operators={}, macs=1,
)  # fmt: skip


def recipe(**limits: Any) -> Any:
    return make_recipe({"source": {"model": "m"}, "budget": limits}, {}, where="test")


def row(metric: str, value: float, **more: Any) -> Measurement:
    facts: dict[str, Any] = {"kind": "measured", "where": "host", "method": "", **more}
    return Measurement(metric=metric, artifact=FILE.name, unit=UNITS[metric], value=value, **facts)  # type: ignore[arg-type]


def board(**more: Any) -> Profile:
    tables: dict[str, Any] = {
        "id": "b", "title": "B", "class": "microcontroller", "runtime": {"name": "tflm", "precisions": ["int8"]},
        **more,
    }  # fmt: skip
    return Profile.model_validate(tables)


def only(checks: tuple[Check, ...]) -> Check:
    (check,) = checks
    return check


@pytest.mark.parametrize(("limit", "state"), [(999, "misses"), (1000, "meets")])
def test_a_size_is_judged_by_the_written_file(limit: int, state: str) -> None:
    check = only(judge(recipe(size_bytes=limit), [find_profile("host")], [FILE], []))
    assert (check.metric, check.value, check.state, check.basis) == ("size", 1000, state, "measured")


def test_the_stricter_of_two_limits_counts() -> None:
    device = board(budget={"size_bytes": 500}, memory={"flash_bytes": 400})
    assert only(judge(recipe(size_bytes=2000), [device], [FILE], [])).limit == 400


def test_a_board_offers_its_largest_piece_of_memory_less_what_its_firmware_needs() -> None:
    device = board(memory={"ram_bytes": 1000, "contiguous_bytes": 600, "reserved_ram_bytes": 100})
    assert only(judge(recipe(), [device], [FILE], [row("arena", 550, profile="b", where="TFLM")])).state == "misses"
    assert only(judge(recipe(), [device], [FILE], [row("arena", 500, profile="b", where="TFLM")])).state == "meets"


def test_a_number_of_this_host_never_answers_for_a_device() -> None:
    check = only(judge(recipe(latency_s=1.0), [board()], [FILE], [row("latency", 0.001)]))
    assert (check.state, check.value, check.basis) == ("unknown", None, "unknown")
    assert check.reason == "b is not here to be measured, and its profile has no latency facts"


def test_the_host_is_judged_by_its_own_number() -> None:
    check = only(judge(recipe(latency_s=1.0), [find_profile("host")], [FILE], [row("latency", 0.001, profile="host")]))
    assert (check.state, check.basis) == ("meets", "measured")


@pytest.mark.parametrize(("value", "state"), [(0.7, "meets"), (0.9, "unknown"), (1.2, "unknown"), (1.5, "misses")])
def test_an_estimate_decides_only_outside_its_band(value: float, state: str) -> None:
    estimate = row("latency", value, kind="estimated", where="b", profile="b", error=0.28)
    check = only(judge(recipe(latency_s=1.0), [board()], [FILE], [estimate]))
    assert (check.state, check.basis) == (state, "estimated")
    if state == "unknown":
        assert check.reason == "the estimate's band of ±28 % reaches across the limit"


@pytest.mark.parametrize(("value", "state"), [(0.25, "meets"), (0.4, "unknown"), (2.9, "unknown"), (3.1, "misses")])
def test_a_band_that_is_a_factor_ends_at_the_value_over_it(value: float, state: str) -> None:
    """As the tables say it: x/÷ 3."""
    estimate = row("latency", value, kind="estimated", where="b", profile="b", error=2.0)
    check = only(judge(recipe(latency_s=1.0), [board()], [FILE], [estimate]))
    assert check.state == state
    if state == "unknown":
        assert check.reason == "the estimate's band of ×/÷ 3 reaches across the limit"


def test_an_estimate_without_a_band_decides_nothing() -> None:
    estimate = row("latency", 0.1, kind="estimated", where="b", profile="b")
    check = only(judge(recipe(latency_s=1.0), [board()], [FILE], [estimate]))
    assert (check.state, check.reason) == ("unknown", "the estimate has no known error band")


def test_a_lower_bound_can_miss_but_not_meet() -> None:
    bound = row("latency", 0.1, kind="estimated", where="b", profile="b", error=0.1, conditions={"at_least": True})
    assert only(judge(recipe(latency_s=1.0), [board()], [FILE], [bound])).state == "unknown"
    assert only(judge(recipe(latency_s=0.05), [board()], [FILE], [bound])).state == "misses"


def test_an_estimate_settles_what_a_lower_bound_leaves_open() -> None:
    bound = row("arena", 100, profile="b", where="TFLM", conditions={"at_least": True})
    estimate = row("arena", 120, kind="estimated", profile="b", where="b", error=0.1)
    check = only(judge(recipe(arena_bytes=200), [board()], [FILE], [bound, estimate]))
    assert (check.state, check.basis, check.value) == ("meets", "estimated", 120)


def test_what_could_not_be_had_says_why() -> None:
    gone = missing("arena", FILE.name, "Didn't find op SUM", where="TFLM", method="", profile="b")
    check = only(judge(recipe(arena_bytes=200), [board()], [FILE], [gone]))
    assert (check.state, check.reason) == ("unknown", "Didn't find op SUM")


def test_a_file_that_no_runtime_takes_is_not_judged() -> None:
    float_file = FILE.model_copy(update={"precision": "float32"})
    assert judge(recipe(size_bytes=1, accuracy_drop=0.0), [board()], [float_file], []) == ()


def test_a_drop_in_accuracy_is_judged_once_for_all_profiles() -> None:
    checks = judge(recipe(accuracy_drop=0.01), [board(), find_profile("host")], [FILE], [row("accuracy_drop", 0.02)])
    assert [(c.metric, c.state, c.profile) for c in checks] == [("accuracy_drop", "misses", None)]


def test_one_miss_outweighs_all_else() -> None:
    checks = judge(recipe(size_bytes=1, latency_s=1.0), [board()], [FILE], [])
    assert [c.state for c in checks] == ["misses", "unknown"]
    assert overall(checks) == "misses"
    assert overall(checks[1:]) == "unknown"
    assert overall(()) == "meets"


def test_a_file_that_the_device_s_runtime_refuses_misses_whatever_the_limits() -> None:
    rows = [missing("arena", FILE.name, "it aborts", where="x", method="", profile="b", conditions={"refused": True})]
    check = only(judge(recipe(), [board()], [FILE], rows))
    assert (check.metric, check.state, check.reason) == ("runs", "misses", "it aborts")


def test_a_file_that_could_not_be_tried_is_unknown() -> None:
    rows = [missing("arena", FILE.name, "the child was stopped", where="x", method="", profile="b")]
    check = only(judge(recipe(arena_bytes=1000), [board()], [FILE], rows))
    assert (check.metric, check.state, check.reason) == ("arena", "unknown", "the child was stopped")


@pytest.mark.parametrize(("value", "state"), [(100, "meets"), (290, "unknown"), (500, "misses")])
def test_an_esp32_s3_s_arena_is_judged_by_its_own_scratch_with_its_band(value: float, state: str) -> None:
    """The interpreter's figure alone is a lower bound there, and decides nothing below the limit of 320 KiB."""
    rows = [
        row("arena", 0.9 * value * 1024, profile="esp32-s3", conditions={"at_least": True}),
        row("arena", value * 1024, profile="esp32-s3", kind="estimated", error=0.2),
    ]
    check = only(judge(recipe(), [find_profile("esp32-s3")], [FILE], rows)[-1:])
    assert (check.limit, check.state) == (320 * 1024, state)


def test_every_command_takes_one_limit_for_an_arena() -> None:
    assert arena_limit(find_profile("esp32-s3")) == 320 * 1024
    assert arena_limit(find_profile("esp32-s3"), 1000) == 1000
    assert arena_limit(find_profile("raspberry-pi-4")) is None


def drop(value: float, low: float, high: float) -> Measurement:
    """What the file loses by the board's kernels."""
    told = {"kernels": "TFLM's reference kernels", "images": 200, "of_images": 1000, "low": low, "high": high}
    return row("accuracy_drop", value, profile="b", kind="estimated", conditions=told)


@pytest.mark.parametrize(
    ("on_board", "state", "basis"),
    [
        (drop(0.01, 0.01, 0.01), "meets", "estimated"),
        (drop(0.01, -0.005, 0.025), "unknown", "estimated"),
        (drop(0.05, 0.03, 0.07), "misses", "estimated"),
    ],
)
def test_accuracy_on_a_board_is_judged_by_its_kernels(on_board: Measurement, state: str, basis: str) -> None:
    rows = [row("accuracy_drop", 0.01), on_board]
    here, there = judge(recipe(accuracy_drop=0.02), [board()], [FILE], rows)
    assert (here.profile, here.state, here.basis, here.value) == (None, "meets", "measured", 0.01)
    assert (there.profile, there.state, there.basis) == ("b", state, basis)
    told = "by TFLM's reference kernels on 200 of 1000 images it is -0.005 to 0.025, with 95 %"
    assert there.reason == (told if state == "unknown" else "")


def test_accuracy_by_kernels_that_were_not_tried_is_unknown_and_says_why() -> None:
    untried = missing("accuracy_drop", FILE.name, "tflite-micro isn't here", where="host", method="", profile="b")
    _, there = judge(recipe(accuracy_drop=0.02), [board()], [FILE], [row("accuracy_drop", 0.01), untried])
    assert (there.profile, there.state, there.value, there.reason) == ("b", "unknown", None, "tflite-micro isn't here")
