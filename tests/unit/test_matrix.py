"""One request in several ways: the axes, the rows, and what a row that fails does to the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecut.cli.matrix import parse_axis, row_words
from edgecut.pipeline import matrix as rows
from edgecut.records.matrix import Matrix, MatrixFile, MatrixRow, matrix_code
from edgecut.render.matrix import matrix_markdown
from tests.unit.command_line import run

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
    ],
)
def test_what_is_no_axis_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=r"is no") as caught:
        parse_axis(text)
    assert str(caught.value).startswith(fault)


def test_every_combination_is_a_row_of_its_own_name() -> None:
    found = rows.rows_of({"cut.to": ("a", "b/c"), "profile": ("host", "x")})
    assert [rows.row_name(row) for row in found] == ["a-host", "a-x", "b_c-host", "b_c-x"]


def test_a_row_is_the_request_with_its_own_values_over_it() -> None:
    settings = {"export.precisions": "int8", "profile": "esp32-s3"}
    assert row_words("r.toml", settings, ["host"], {"export.precisions": ["float32"], "cut.to": "a"}) == [
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


def test_the_page_has_a_row_for_each_file_and_says_why_a_row_failed() -> None:
    task = rows.RowTask("a", (("cut.to", "a"),), (), Path("a"))
    failed = rows.RowTask("b", (("cut.to", "b"),), (), Path("b"))
    found = Matrix(
        edgecut="1", name="bell", axes={"cut.to": ("a", "b")}, rows=(row(task), rows._failed(failed, "why", 2))
    )
    assert matrix_markdown(found).splitlines() == [
        "# bell",
        "",
        "| cut.to | file | size | accuracy | arena | latency | status |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| a | tflite int8 | 1 KiB | 0.812 | 512 B | 2 ms | meets |",
        "| b | – | – | – | – | – | failed |",
        "",
        "- b: why",
    ]


@pytest.mark.parametrize(
    ("states", "strict", "code"),
    [(("meets", "meets"), False, 0), (("meets", "misses"), False, 1), (("misses", "failed"), False, 3),
     (("unknown",), False, 0), (("unknown",), True, 1)],
)  # fmt: skip
def test_the_exit_code_is_that_of_the_worst_row(states: tuple[str, ...], strict: bool, code: int) -> None:
    task = rows.RowTask("a", (), (), Path("a"))
    found = Matrix(edgecut="1", name="bell", axes={}, rows=tuple(row(task, state) for state in states))
    assert matrix_code(found, strict) == code
