"""The rebuilt nets against the figures that their sources print, and the table against the facts it is made from."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from edgecut.tflite.flatbuffer import read
from edgecut.tflite.x_cube_ai import weights_bytes
from tools.boards.families import Net, parsed
from tools.boards.graphs import DATA, features, nets, restored, stored
from tools.boards.memory import weights_kib
from tools.boards.names import net_of
from tools.boards.table import FIELDS, measurements

FACTS = Path(__file__).parents[2] / "tools" / "facts"
FIXTURES = Path(__file__).parents[1] / "fixtures"
Row = dict[str, str]


@cache
def table() -> tuple[Row, ...]:
    with open(DATA / "measurements.csv", encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def printed_weights() -> Iterator[tuple[str, float, float]]:
    """(graph, rebuilt KiB, printed KiB) of each microcontroller's row that prints two digits behind the point."""
    for row in table():
        flash = row["weights_flash_kib"]
        exact = row["runtime"] == "st-edge-ai" and row["version"] != "7.3.0" and not row["suspect_memory"]
        if exact and row["graph"] and flash and "N6" not in row["board"]:
            yield row["graph"], weights_kib(row), float(flash)


def test_table_is_what_the_facts_give() -> None:
    assert tuple(measurements(FACTS)) == table()


def test_weights_are_those_of_the_source_to_the_last_digit() -> None:
    rows = list(printed_weights())
    # ST's runtime folds the first normalization of GMP, two numbers in float and two words in int8, which a .tflite
    # file keeps.
    wrong = {graph for graph, rebuilt, printed in rows if abs(rebuilt - printed) > 0.0101 and "gmp" not in graph}
    assert not wrong
    assert len(rows) >= 110


def test_every_rebuilt_net_has_the_multiply_accumulates_that_were_counted() -> None:
    with open(FACTS / "boards_rebuild.csv", encoding="utf-8", newline="") as file:
        counted = {int(row["macs"]) for row in csv.DictReader(file)}
    rebuilt = {sum(row.macs for row in features(graph)) for graph in nets().values()}
    # The others are of sizes, widths or heads that no row of the table has.
    assert len(counted & rebuilt) >= 25


def test_every_row_with_a_net_has_its_graph_and_every_graph_a_row() -> None:
    assert {row["graph"] for row in table() if row["net"]} == set(nets())


def test_every_correction_names_a_field_and_all_but_one_a_row() -> None:
    with open(FACTS / "boards_slips.csv", encoding="utf-8", newline="") as file:
        slips = list(csv.DictReader(file))
    with open(FACTS / "boards.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    unused = []
    for slip in slips:
        conditions = [condition.split("=", 1) for condition in slip["match"].split(";")]
        if not any(all(row[field] == value for field, value in conditions) for row in rows):
            unused.append(slip["match"])
        assert slip["reason"]
        assert slip["field"] in {*rows[0], "suspect", "suspect_memory", "net"}
    assert unused == ["model=IGN wl 24;board=STM32L4R9"]  # its rows are among those that are kept for checking


def test_rows_have_sources_and_numbers() -> None:
    for row in table():
        assert tuple(row) == FIELDS
        assert row["source"]
        for field in FIELDS:
            if field.endswith(("_kib", "_ms")) and row[field]:
                assert float(row[field]) >= 0, row


def test_a_graph_comes_back_as_it_was_stored() -> None:
    graph = read(FIXTURES / "tiny.int8.tflite")
    again = restored(stored(graph))
    assert features(again) == features(graph)
    assert weights_bytes(again) == weights_bytes(graph)
    assert stored(again) == stored(graph)


@pytest.mark.parametrize(
    "name", ["mobilenet 96x96x3 5 alpha=0.25 top=no", "resnet_v1 32x32x3 10 depth=8", "ign 24x3x1 4"]
)
def test_a_name_is_read_and_written_alike(name: str) -> None:
    assert parsed(name).name == name


def test_a_wrong_name_is_refused_with_the_form() -> None:
    with pytest.raises(ValueError, match="net 'mobilenet 96': expected 'FAMILY HEIGHTxWIDTHxCHANNELS CLASSES"):
        parsed("mobilenet 96")
    assert parsed("vww 96x96x3 2") == Net("vww", (96, 96, 3), 2)


def test_another_row_of_a_known_kind_has_its_net_and_one_without_classes_has_none() -> None:
    row = {"source": "STMicroelectronics/stm32ai-modelzoo", "model": "MobileNet v2 1.4 fft", "dataset": "Person"}
    row |= {"height": "160", "width": "160", "channels": "3", "classes": ""}
    net = net_of(row)
    assert net is not None
    assert net.name == "mobilenetv2 160x160x3 1 alpha=1.4 top=no"
    assert net_of(row | {"dataset": "unheard of"}) is None
    assert net_of(row | {"model": "MobileNet v9"}) is None
