"""One request in several ways: the axes, the rows, and what a row that fails does to the others."""

from __future__ import annotations

import csv
import io
import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from edgecut.cli.matrix import _of_row, parse_axis, row_words
from edgecut.cli.request import Request
from edgecut.pipeline import matrix as rows
from edgecut.records.matrix import Matrix, MatrixCell, MatrixFile, MatrixRow, matrix_code
from edgecut.records.measurement import measured
from edgecut.records.profile_files import find_profile
from edgecut.records.report import Check
from edgecut.render.matrix import CSV_COLUMNS, matrix_csv, matrix_markdown, matrix_table, render_matrix
from tests.command_line import run
from tests.reports import report

DEMO = Path(__file__).parents[2] / "edgecut" / "demo_data" / "recipe.toml"


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("cut.to=a,b", ("cut.to", ("a", "b"))),
        ("to=a, b", ("cut.to", ("a", "b"))),
        ("precision=int8,float32", ("export.precisions", ("int8", "float32"))),
        ("profile=host,esp32-s3", ("profile", ("host", "esp32-s3"))),
        ("stem.size=[[96, 96], [64, 64]]", ("stem.size", ("[96, 96]", "[64, 64]"))),
        ("to=a,a", ("cut.to", ("a",))),
    ],
)
def test_an_axis_is_a_flag_or_a_key_with_values(text: str, axis: tuple[str, tuple[str, ...]]) -> None:
    assert parse_axis(text) == axis


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("to", "'to' is no axis; one such as to=block_2_relu,block_3_relu is expected"),
        ("to=", "'to=' is no axis; one such as to=block_2_relu,block_3_relu is expected"),
        ("precisoin=int8", "'precisoin' is no flag and no recipe key (closest: 'precision')"),
        ("gray=true", "'gray' is short for stem.channels=1; make stem.channels the axis"),
    ],
)
def test_what_is_no_axis_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=r"is (no|short)") as caught:
        parse_axis(text)
    assert str(caught.value).startswith(fault)


def test_every_combination_is_a_row_of_its_own_name() -> None:
    found = rows.rows_of({"cut.to": ("a", "b/c"), "profile": ("host", "x")})
    assert [rows.row_name(row) for row in found] == ["a-host", "a-x", "b_c-host", "b_c-x"]


def test_a_row_is_the_request_with_its_own_values_over_it() -> None:
    settings = {"export.precisions": "int8", "profile": "esp32-s3"}
    assert row_words("r.toml", settings, ["esp32-s3"], {"export.precisions": ["float32"], "cut.to": "a"}) == [
        "build", "r.toml", "--set", 'export.precisions=["int8"]', "--set", 'cut.to="a"', "--profile", "esp32-s3",
    ]  # fmt: skip


def row(task: rows.RowTask, status: str = "meets") -> MatrixRow:
    file = MatrixFile(
        name="bell.int8.tflite", size_bytes=1024, accuracy=0.8125, arena_bytes=512, latency={"host": 0.002}
    )  # fmt: skip
    return MatrixRow(
        name=task.name, settings=dict(task.settings), status=status, code=0, bundle=task.name, files=(file,)
    )


def test_a_row_that_fails_loses_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build_row(task: rows.RowTask) -> MatrixRow:
        return row(task) if "block_2" in task.name else rows._failed(task, "the build ended by signal 9", -9)

    monkeypatch.setattr(rows, "build_row", build_row)
    answer = run(capsys, "build", str(DEMO), "--matrix", "to=block_2_relu,block_9_relu,block_1_relu", "-o",
                 str(tmp_path / "out"), "--json")  # fmt: skip
    assert answer.code == 3
    document = json.loads(answer.out)
    assert document == json.loads((tmp_path / "out" / "matrix.json").read_text())
    assert [(r["name"], r["status"]) for r in document["rows"]] == [
        ("block_2_relu", "meets"), ("block_9_relu", "failed"), ("block_1_relu", "failed"),
    ]  # fmt: skip
    assert "no layer 'block_9_relu'" in document["rows"][1]["error"]
    assert document["rows"][2]["error"] == "the build ended by signal 9"


def test_a_matrix_without_a_row_that_could_be_built_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = run(capsys, "build", str(DEMO), "--matrix", "to=nowhere,no_way", "-o", str(tmp_path / "out"))
    assert answer.code == 2
    assert answer.err.count("no layer") == 2
    assert not (tmp_path / "out").exists()


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
    """Rows are built by a shell script; "$@" is the command line behind `python`."""
    script = folder / "python"
    script.write_text(f"#!/bin/sh\n{lines}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def task(folder: Path, *arguments: str) -> rows.RowTask:
    return rows.RowTask("a", (("cut.to", "a"),), arguments, folder, base=folder.parent)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("stem.size", "96x64", "[96, 64]"),
        ("stem.size", "[96, 64]", "[96, 64]"),
        ("cut.to", '["a", "b"]', '["a", "b"]'),
        ("cut.to", "-1", "-1"),
        ("source.preprocess", "{scale = 2.0}", "{scale = 2.0}"),
    ],
)
def test_a_value_of_an_axis_is_read_as_its_flag_or_toml_says_it(key: str, text: str, value: str) -> None:
    assert row_words("m.keras", {key: text}, (), {}) == ["build", "m.keras", "--set", f"{key}={value}"]


def test_a_value_that_can_not_be_read_is_the_fault_of_its_row(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answer = run(capsys, "build", str(DEMO), "--matrix", "size=large,96x", "-o", str(tmp_path / "out"))
    assert answer.code == 2
    assert answer.err.splitlines() == [
        f"edgecut: error: {text}: --matrix: stem.size: {text!r} is no size; height x width is expected, such as 96x96"
        for text in ("large", "96x")
    ]


def test_all_faults_of_a_row_are_told_and_its_names_start_from_the_callers_folder(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(DEMO.read_text().replace("classes = 10", "classes = 0\nhiden = 1"))
    found = rows.build_row(task(tmp_path / "row", "build", "r.toml"))
    assert (found.status, found.code, found.bundle) == ("failed", 2, None)
    assert found.error.startswith("r.toml: head.classes: ")
    assert "; r.toml: head.hiden: " in found.error


def test_of_a_row_that_was_killed_nothing_stays_but_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, 'for w; do [ "$p" = -o ] && mkdir "$w" "$w.partial"; p=$w; done; kill -9 $$')
    found = rows.build_rows(rows.Rows("bell", {"cut.to": ("a",)}, [task(Path("a"), "build")]), tmp_path / "out")
    assert found.rows[0].error == (
        "the build was killed (signal 9), as a system does that has no memory left; build fewer rows at a time"
    )
    assert sorted(os.listdir(tmp_path / "out")) == ["matrix.csv", "matrix.html", "matrix.json", "matrix.md"]


def test_a_row_whose_matrix_was_given_up_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_LOOK_S", 0.01)
    stand_in(tmp_path, monkeypatch, "exec sleep 600")
    assert rows.build_row(replace(task(tmp_path / "removed" / "row"), base=tmp_path)).code == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_rows_build_ends_with_the_worker_that_began_it(tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 600\n"
    )
    script.chmod(0o755)
    (tmp_path / "pid").touch()
    code = (
        "import sys; from pathlib import Path; from edgecut.pipeline.matrix import RowTask, build_row\n"
        f"sys.executable = {str(script)!r}; here = Path({str(tmp_path)!r})\n"
        "build_row(RowTask('a', (), (), here / 'row', base=here))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as worker:
        while not (said := (tmp_path / "pid").read_text()):
            assert worker.poll() is None
        row = os.pidfd_open(int(said))
        worker.kill()
    assert select.select([row], [], [], 60)[0] == [row]
    os.close(row)


def seen() -> Matrix:
    """Two rows, of which one misses a limit of its own and the other failed."""
    missed = Check(
        metric="size",
        artifact="bell.int8.tflite",
        limit=512,
        value=1024,
        unit="bytes",
        state="misses",
        basis="measured",
    )
    axes = {"cut.to": ("a", "b"), "profile": ("nucleo-l4r5zi",)}
    settings = {"cut.to": "a", "profile": "nucleo-l4r5zi"}
    whole = row(rows.RowTask("a-nucleo_l4r5zi", tuple(settings.items()), (), Path("a")), "misses")
    cells = (
        MatrixCell(profile="nucleo-l4r5zi", state="misses", latency=0.25, latency_kind="estimated", latency_error=0.32,
                   arena_bytes=512, arena_kind="measured"),
        MatrixCell(profile="host", state="no limit", latency=0.002, latency_kind="measured"),
    )  # fmt: skip
    files = (whole.files[0].model_copy(update={"cells": cells}),)
    failed = rows.RowTask("b-nucleo_l4r5zi", tuple((settings | {"cut.to": "b"}).items()), (), Path("b"))
    told = {"files": files, "checks": (missed,), "unsupported": {"esp32": "takes tflite in float32"}}
    found = whole.model_copy(update=told), rows._failed(failed, "<why>", 2)
    return Matrix(edgecut="1", name="bell", axes=axes, rows=found)


def test_of_an_arena_the_figure_answers_before_its_lower_bound_with_its_band() -> None:
    """As on every other page: the interpreter on this host has none of the scratch of the device's kernels."""
    told = {"artifact": "clothes.int8.tflite", "profile": "esp32-s3", "metric": "arena", "method": "m"}
    bound = measured(values=[40_528], where="TFLM interpreter on host", conditions={"at_least": True}, **told)
    whole = measured(values=[108_302], where="esp32-s3", kind="estimated", error=0.74, **told)
    board = find_profile("esp32-s3").to_dict()
    built = report().model_copy(update={"profiles": (board,), "measurements": (bound, whole)})
    file = rows._file(built, "clothes.int8.tflite")
    assert file.arena_bytes == 108_302
    assert [(c.arena_bytes, c.arena_kind, c.arena_error) for c in file.cells] == [(108_302, "estimated", 0.74)]
    task = rows.RowTask("a", (), (), Path("a"))
    found = row(task).model_copy(update={"files": (file,)})
    assert "| 106 KiB (estimated ±74 %) |" in matrix_markdown(Matrix(edgecut="1", name="bell", axes={}, rows=(found,)))


def test_the_text_has_a_row_for_each_file_and_says_why_one_failed_or_misses_a_limit() -> None:
    assert matrix_markdown(seen()).splitlines() == [
        "# bell by cut.to × profile",
        "",
        "| cut.to | profile | file | size | accuracy | device | arena | latency | state |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| a | nucleo-l4r5zi | tflite int8 | 1 KiB | 0.812 | nucleo-l4r5zi | 512 B (measured) "
        "| 250 ms (estimated ±32 %) | misses |",
        "| a | nucleo-l4r5zi | tflite int8 | 1 KiB | 0.812 | host | – | 2 ms (measured) | no limit |",
        "| a | nucleo-l4r5zi | tflite int8 | 1 KiB | 0.812 | esp32 | – | – | unsupported |",
        "| b | nucleo-l4r5zi | – | – | – | – | – | – | failed |",
        "",
        "- a-nucleo_l4r5zi: unsupported on esp32, which takes tflite in float32",
        "- a-nucleo_l4r5zi: misses size of tflite int8: 1 KiB, limit 512 B",
        "- b-nucleo_l4r5zi: &lt;why>",
    ]


def test_the_csv_has_the_numbers_of_the_document() -> None:
    head, *lines = list(csv.reader(io.StringIO(matrix_csv(seen()))))
    assert head == [*CSV_COLUMNS, "cut.to", "profile"]
    cells = [dict(zip(head, line, strict=True)) for line in lines]
    assert [(c["row"], c["status"], c["device"], c["state"]) for c in cells] == [
        ("a-nucleo_l4r5zi", "misses", "nucleo-l4r5zi", "misses"),
        ("a-nucleo_l4r5zi", "misses", "host", "no limit"),
        ("a-nucleo_l4r5zi", "misses", "esp32", "unsupported"),
        ("b-nucleo_l4r5zi", "failed", "", "no limit"),
    ]
    assert [cells[0][k] for k in ("latency_s", "latency_kind", "latency_band", "arena_bytes", "arena_kind")] == [
        "0.25", "estimated", "0.32", "512", "measured",
    ]  # fmt: skip
    assert (cells[1]["latency_s"], cells[2]["latency_s"], cells[3]["reason"]) == ("0.002", "", "<why>")


def test_a_device_that_takes_no_file_of_a_row_is_unsupported_there_and_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built: list[tuple[str, ...]] = []

    def build_row(task: rows.RowTask) -> MatrixRow:
        built.append(task.arguments)
        return row(task).model_copy(update={"unsupported": dict(task.unsupported)})

    monkeypatch.setattr(rows, "build_row", build_row)
    answer = run(capsys, "build", str(DEMO), "--matrix", "precision=int8,float16", "--profile", "max78000,host",
                 "-o", str(tmp_path / "out"), "--json")  # fmt: skip
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)["rows"]
    takes = found[1]["unsupported"]["max78000"]
    assert [r["status"] for r in found] == ["meets", "meets"]
    assert [list(r["unsupported"]) for r in found] == [[], ["max78000"]]
    assert takes.startswith("takes tflite")
    assert [words.count("--profile") for words in built] == [2, 1]
    alone = run(capsys, "build", str(DEMO), "--matrix", "precision=int8,float16", "--profile", "max78000",
                "-o", str(tmp_path / "other"), "--json")  # fmt: skip
    assert [r["status"] for r in json.loads(alone.out)["rows"]] == ["meets", "unsupported"]
    assert (alone.code, len(built)) == (0, 3)


def test_files_are_called_as_the_model_of_their_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request(str(DEMO), ("host",), {}, None)
    of_row = _of_row(request, {"source.model": "models/net one.keras"})
    assert of_row.overrides == {"source.model": "models/net one.keras", "name": "net_one"}
    named = _of_row(request._replace(overrides={"name": "mine"}), {"source.model": "a.keras"})
    assert named.overrides["name"] == "mine"


def test_the_terminals_table_breaks_between_values_and_never_within_them() -> None:
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(matrix_table(seen()))
    words = console.export_text().split()
    assert words.count("nucleo-l4r5zi") == 3
    assert not any(word.endswith("…") for word in words)


def test_the_page_leads_to_each_rows_report() -> None:
    links: list[str | None] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            links.extend([dict(attrs)["href"]] if tag == "a" else [])

    text = render_matrix(seen())
    Reader().feed(text)
    assert [link for link in links if link != "#main"] == ["a-nucleo_l4r5zi/report.html"] * 3
    assert "b-nucleo_l4r5zi: &lt;why&gt;" in text


@pytest.mark.parametrize(
    ("states", "strict", "code"),
    [(("meets", "meets"), False, 0), (("meets", "misses"), False, 1), (("misses", "failed"), False, 3),
     (("unknown",), False, 0), (("unknown",), True, 1)],
)  # fmt: skip
def test_the_exit_code_is_that_of_the_worst_row(states: tuple[str, ...], strict: bool, code: int) -> None:
    task = rows.RowTask("a", (), (), Path("a"))
    found = Matrix(edgecut="1", name="bell", axes={}, rows=tuple(row(task, state) for state in states))
    assert matrix_code(found, strict) == code
