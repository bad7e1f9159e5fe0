"""Published times as places: which rows are one board with one runtime, and that a family left out isn't seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.calibrate.board import general
from edgecut.calibrate.measured import fitted
from edgecut.records.profile_files import read_profile
from tools.board_places import BOARDS, Place, family_of, measured, place_of, prior_of
from tools.boards.graphs import DATA
from tools.check_boards import left_out_of
from tools.profile_toml import read_rows

PROFILES = Path(__file__).parents[2] / "profiles"
ROW = {"dtype": "int8", "engine": "2 CPU", "runtime": "x-linux-ai", "version": "6.1.0 TensorFlowLite 2.18.0",
       "scheme": "per-channel", "family": "mobilenet", "source": "stm32ai-modelzoo (boards.csv:2)"}  # fmt: skip


@pytest.fixture(scope="module")
def places() -> dict[str, tuple[Place, list[str]]]:
    found = measured(read_rows(DATA / "measurements.csv"))
    return {place.name: (place, [row.net for row in own.rows]) for place, own in found.items()}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"board": "STM32MP157F-DK2"}, "STM32MP157F-DK2"),
        ({"board": "STM32MP157F-DK2", "version": "5.0.0 TensorFlowLite 2.11.0"}, "STM32MP157F-DK2 without XNNPACK"),
        ({"board": "STM32MP157F-DK2", "family": "st_fd_mobilenet"}, "STM32MP157F-DK2 without XNNPACK"),
        ({"board": "STM32MP157F-DK2", "scheme": "per-tensor"}, "STM32MP157F-DK2 per tensor"),
        ({"board": "STM32MP257F-DK2", "engine": "NPU/GPU"}, "STM32MP257F-DK2 per-channel"),
        ({"board": "STM32H769I-DISCO", "runtime": "st-edge-ai"}, "STM32F769I-DISCO"),
        ({"board": "STM32H743", "runtime": "tinyengine"}, "STM32H743 tinyengine"),
        ({"board": "ESP32-S3", "runtime": "tflm reference"}, "ESP32-S3 reference"),
        ({"board": "STM32H747I-DISCO", "dtype": "float32", "runtime": "st-edge-ai"}, "STM32H747I-DISCO float"),
    ],
)
def test_a_row_belongs_to_its_board_with_its_runtime(changes: dict[str, str], name: str) -> None:
    place = place_of(ROW | changes)
    assert place is not None
    assert place.name == name


@pytest.mark.parametrize("changes", [{"board": "STM32H747I-DISCO", "dtype": "hybrid"}, {"board": "Coral Dev Board"}])
def test_a_row_of_no_place_is_compared_with_nothing(changes: dict[str, str]) -> None:
    assert place_of(ROW | changes) is None


def test_every_place_of_a_profile_names_one_that_is_shipped(places: dict[str, tuple[Place, list[str]]]) -> None:
    named = {place.profile for place in (*BOARDS.values(), *(place for place, _ in places.values()))} - {""}
    assert [name for name in named if not (PROFILES / f"{name}.toml").is_file()] == []


def test_a_profile_states_the_nets_that_its_place_has(places: dict[str, tuple[Place, list[str]]]) -> None:
    place, nets = places["STM32H747I-DISCO"]
    facts = read_profile(PROFILES / f"{place.profile}.toml").latency
    assert facts is not None
    assert (facts.nets, facts.work[0].internal_bytes) == (len(set(nets)), place.internal_bytes)


def test_sizes_and_near_relatives_are_one_family() -> None:
    assert {family_of({"family": name}) for name in ("mobilenet", "vww")} == {"mobilenet"}
    assert family_of({"family": "squeezenet"}) == "squeezenet"


def test_a_family_left_out_is_in_neither_prices_nor_band() -> None:
    """Its times change nothing of what is said of it."""
    found = {place: own.rows for place, own in measured(read_rows(DATA / "measurements.csv")).items()}
    place = next(place for place in found if place.name == "STM32MP135F-DK2")
    rows = found[place]
    others = [row for row in rows if row.family != "squeezenet"]
    said = left_out_of("squeezenet", rows, others, general("cpu"))
    assert said
    assert {row.row.row.family for row in said} == {"squeezenet"}
    assert said[0].row.predicted_s == pytest.approx(fitted(others, general("cpu")).seconds(said[0].row.row))
    assert prior_of(place, {place: rows}) == general("cpu")
