"""A file of measurements: what it may say, and that every fault names its line, its column and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.errors import DocumentError, RequestError
from edgecut.records.figure_file import Figure, read_figures

TIME = "a time with its unit, such as '231 ms', of at most a day"
SIZE = "a size in bytes, or with its unit, such as '39.5 KiB', of at most 4096 GiB"
NEEDED = "file, latency and, where known, arena, family, version"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    for name in ("own/a.tflite", "own/b, c.tflite", "there.tflite"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path / "own"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "m.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_line_for_each_file_in_any_order_of_columns(folder: Path) -> None:
    text = (
        "\ufeffLatency , file,ARENA,version,family\r\n"
        "231 ms,a.tflite,39.5 KiB,9.0,mobilenet\r\n\r\n"
        '0.5 s,"b, c.tflite"\r\n'
        ",there.tflite,40000,,\r\n"
    )
    assert read_figures(written(folder, text)) == (
        Figure(2, folder / "a.tflite", pytest.approx(0.231), 40448, "mobilenet", "9.0"),
        Figure(4, folder / "b, c.tflite", 0.5, None, "", ""),
        Figure(5, Path("there.tflite"), None, 40000, "", ""),
    )


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["{}: is empty; expected a line file,latency,arena, then a line for each measured file"]),
        ("\n , \n", ["{}: is empty; expected a line file,latency,arena, then a line for each measured file"]),
        (
            "file,latency\n",
            ["{}: names its columns and no measured file; expected a line for each, such as model.tflite,231 ms,"],
        ),
        (
            "file;latency;arena\na.tflite;2 ms;\n",
            [f"{{}}: line 1: found 'file;latency;arena' as one column; expected columns with commas between them: "
             f"{NEEDED}"],
        ),
        (
            "file,latncy\n",
            [f"{{}}: line 1, column 2: found 'latncy' (closest: 'latency'); expected {NEEDED}"],
        ),
        (
            "file,latency,file\n",
            ["{}: line 1, column 3: found 'file' a second time; expected each column once"],
        ),
        ("file,arena\n", [f"{{}}: line 1: has no column 'latency'; expected {NEEDED}"]),
        (
            "file,latency,arena\na.tflite,231,\na.tflite,fast,none\n,3 ms,\nno.tflite,-3 ms,\na.tflite,,\n"
            "a.tflite,3 ms,1 KiB,more\na.tflite,0 ms,0\n"
            "a.tflite,1e30 s,1e30\n",
            [
                f"{{}}: line 2, column 'latency': found '231'; expected {TIME}",
                f"{{}}: line 3, column 'latency': found 'fast'; expected {TIME}",
                f"{{}}: line 3, column 'arena': found 'none'; expected {SIZE}",
                "{}: line 4, column 'file': is empty; expected the .tflite file that was measured",
                "{}: line 5, column 'file': found 'no.tflite', and no such file is there; expected a .tflite file, by "
                "a path from FOLDER or from the working folder",
                f"{{}}: line 5, column 'latency': found '-3 ms'; expected {TIME}",
                "{}: line 6, column 'latency': is empty; expected a time with its unit, such as '231 ms'",
                "{}: line 7: found 4 cells; expected 3, as in the first line; text with a comma in it stands in "
                'quotation marks: "a, b.tflite"',
                f"{{}}: line 8, column 'latency': found '0 ms'; expected {TIME}",
                f"{{}}: line 8, column 'arena': found '0'; expected {SIZE}",
                f"{{}}: line 9, column 'latency': found '1e30 s'; expected {TIME}",
                f"{{}}: line 9, column 'arena': found '1e30'; expected {SIZE}",
            ],
        ),
        (b"file,latency\na.tflite,3\xb5s\n", ["{}: line 2: is no UTF-8 text; save the table as CSV in UTF-8"]),
        (b"PK\x03\x04\x14\x00\xff\xfe", ["{}: line 1: is no UTF-8 text; save the table as CSV in UTF-8"]),
        ('file,latency\n"a.tflite,3 ms\n', ["{}: line 2: is no line of a CSV table: unexpected end of data"]),
    ],
)  # fmt: skip
def test_every_fault_names_its_place(folder: Path, text: str | bytes, faults: list[str]) -> None:
    path = written(folder, text)
    with pytest.raises(RequestError) as error:
        read_figures(path)
    found = error.value.faults if isinstance(error.value, DocumentError) else (str(error.value),)
    assert list(found) == [fault.replace("{}", str(path)).replace("FOLDER", repr(str(folder))) for fault in faults]


def test_a_name_that_no_file_can_have_is_a_fault(folder: Path) -> None:
    with pytest.raises(DocumentError, match="no such file is there"):
        read_figures(written(folder, f"file,latency\n{'x' * 5000}.tflite,3 ms\n"))


def test_a_file_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(RequestError) as error:
        read_figures(folder / "none.csv")
    assert str(error.value) == f"{folder / 'none.csv'}: no such file or directory"
