"""The rows of --csv have the names that are a contract, and the numbers of the documents."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from edgecut.cli.main import edgecut
from edgecut.records.profile_files import find_profile
from edgecut.render import csv_rows, matrix, predictions
from edgecut.render.csv_rows import (
    CUT_COLUMNS,
    FRONT_COLUMNS,
    MEASUREMENT_COLUMNS,
    PROFILE_COLUMNS,
    cut_rows,
    front_rows,
    measurement_rows,
    profile_rows,
)
from tests.command_line import run
from tests.pages import front
from tests.reports import measurements

FIXTURES = Path(__file__).parents[1] / "fixtures"


def test_a_front_has_a_row_for_each_choice_on_each_device() -> None:
    rows = [dict(zip(FRONT_COLUMNS, row, strict=True)) for row in front_rows(front())]
    assert [(r["cut"], r["device"], r["recommended"]) for r in rows] == [
        ("block<1>", "board", "true"), ("block_2", "board", "false"),
    ]  # fmt: skip
    first = rows[0]
    assert (first["value"], first["metric"], first["basis"]) == ("0.781", "accuracy", "measured")
    assert (first["latency_s"], first["latency_kind"], first["latency_band"]) == ("0.0125", "estimated", "")
    assert (first["height"], first["width"], first["channels"], first["size_bytes"]) == ("96", "96", "3", "102400")


def test_a_measurement_has_its_spread_its_kind_and_its_band() -> None:
    for m, row in zip(measurements(), measurement_rows(measurements()), strict=True):
        cells = dict(zip(MEASUREMENT_COLUMNS, row, strict=True))
        assert cells["value"] == ("" if m.value is None else repr(m.value))
        assert cells["kind"] == (m.kind if m.value is not None else "")
        assert cells["band"] == ("" if m.error is None else repr(m.error))
        assert cells["p90"] == ("" if not m.values else repr(m.quantile(0.9)))


def test_a_device_is_a_row_in_base_units() -> None:
    board = find_profile("nucleo-l4r5zi")
    (row,) = profile_rows([board])
    cells = dict(zip(PROFILE_COLUMNS, row, strict=True))
    assert (cells["id"], cells["clock_hz"]) == ("nucleo-l4r5zi", str(board.cpu.clock_hz))
    assert cells["ram_bytes"] == str(board.memory.ram_bytes)


def test_a_cut_has_a_row_for_each_device_and_one_where_there_is_none() -> None:
    latency = {"profile": "a", "metric": "latency", "value": 0.5, "error": 0.25, "reason": ""}
    arena = {"profile": "a", "metric": "arena", "value": None, "error": None, "reason": "no rule for X"}
    point = {
        "name": "relu", "position": 3, "type": "ReLU", "shape": [None, 4, None, 8], "legal_start": True,
        "bypass": ["x", "y"], "macs": None, "params": 7, "activation_bytes": 128,
    }  # fmt: skip
    rows = list(cut_rows([point, point | {"measurements": [latency, arena]}]))
    first, second = (dict(zip(CUT_COLUMNS, row, strict=True)) for row in rows)
    assert (first["device"], first["macs"], first["shape"], first["bypass"]) == ("", "", "4x?x8", "x y")
    assert [second[k] for k in CUT_COLUMNS[9:]] == ["a", "0.5", "0.25", "", "", "no rule for X"]


def test_the_commands_print_these_columns(capsys: pytest.CaptureFixture[str]) -> None:
    int8 = str(FIXTURES / "tiny.int8.tflite")
    for words, columns in [
        (("profile", "list", "h743"), csv_rows.PROFILE_COLUMNS),
        (("bench", int8, "--runs", "1", "--profile", "nucleo-l4r5zi,host"), csv_rows.MEASUREMENT_COLUMNS),
        (("compare", int8, int8), csv_rows.CHANGE_COLUMNS),
    ]:
        answer = run(capsys, *words, "--csv")
        assert answer.code == 0, answer.err
        head, *rows = list(csv.reader(io.StringIO(answer.out)))
        assert tuple(head) == columns
        assert rows
        assert {len(row) for row in rows} == {len(columns)}
    documents = json.loads(run(capsys, "compare", int8, int8, "--json").out)["changes"]
    assert [row[:2] for row in rows] == [[c["metric"], c["file"]] for c in documents]


def test_inspect_has_csv_of_cuts_alone(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "inspect", str(FIXTURES / "tiny.int8.tflite"), "--csv")
    assert (answer.code, answer.out, answer.err) == (
        2, "", "edgecut: error: --csv: is for the cuts of a model; pass --cuts, too\n",
    )  # fmt: skip


STABILITY = (Path(__file__).parents[2] / "docs" / "stability.md").read_text(encoding="utf-8")
COLUMNS = {
    "build": csv_rows.MEASUREMENT_COLUMNS,
    "bench": csv_rows.MEASUREMENT_COLUMNS,
    "compare": csv_rows.CHANGE_COLUMNS,
    "search": csv_rows.FRONT_COLUMNS,
    "inspect": csv_rows.CUT_COLUMNS,
    "profile list": csv_rows.PROFILE_COLUMNS,
    "run": predictions.CSV_COLUMNS,
    "build --matrix": matrix.CSV_COLUMNS,
}


@pytest.mark.parametrize("command", COLUMNS)
def test_the_columns_are_those_of_the_stability_page(command: str) -> None:
    rows = [row for row in STABILITY.splitlines() if f"`edgecut {command} " in row and "--csv`" in row]
    assert [
        f"`{','.join(COLUMNS[command])}`" in row for row in rows if ("--matrix" in row) == ("--matrix" in command)
    ] == [True]


def test_the_stability_page_has_every_command_that_prints_csv() -> None:
    def with_csv(group: click.Group, path: str = "") -> Iterator[str]:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                yield from with_csv(command, f"{path}{name} ")
            elif command is not None and any("--csv" in parameter.opts for parameter in command.params):
                yield f"{path}{name}"

    assert {*with_csv(edgecut)} == {command.partition(" --")[0] for command in COLUMNS}
