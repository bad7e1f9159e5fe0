"""The C of an int8 file in a folder of its own."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from edgecut.errors import DocumentError
from edgecut.export.plain_c import c_name
from edgecut.pipeline.plan import plan
from edgecut.records.precision import planned_files
from edgecut.records.recipe import Export, Recipe
from tests.command_line import run

FIXTURES = Path(__file__).parent.parent / "fixtures"
INT8 = FIXTURES / "tiny.int8.tflite"


def test_a_file_is_written_beside_its_c(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "export", str(INT8), "--format", "c", "-o", str(tmp_path / "c"))
    assert (answer.code, answer.err) == (0, f"edgecut: next: edgecut bench {tmp_path / 'c' / 'tiny.tflite'}\n")
    assert run(capsys, *shlex.split(answer.err)[3:], "--runs", "2", "--warmup", "0").code == 0
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["tiny.tflite", "tiny_run.c", "tiny_run.h"]
    assert (tmp_path / "c" / "tiny.tflite").read_bytes() == INT8.read_bytes()
    assert "wrote tiny_run.c and tiny_run.h: work buffer" in answer.out


def test_what_is_there_is_replaced_only_by_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiny_run.h").write_text("mine")
    answer = run(capsys, "export", str(INT8), "--format", "c", "-o", str(tmp_path))
    assert (answer.code, answer.err) == (
        2,
        f"edgecut: error: {tmp_path / 'tiny_run.h'}: exists; pass --force to replace it\n",
    )
    assert run(capsys, "export", str(INT8), "--format", "c", "-o", str(tmp_path), "--force").code == 0


def test_what_an_earlier_c_said_of_its_outputs_goes_by_force_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, folder = tmp_path / "labels.txt", tmp_path / "c"
    labels.write_text("cat\ndog\nnone\nother\n")
    words = ["export", str(INT8), "--format", "c", "-o", str(folder)]
    assert run(capsys, *words, "--labels", str(labels)).code == 0
    assert {path.name for path in folder.iterdir()} > {"tiny_outputs.h", "tiny_outputs.c"}
    for name in ("tiny.tflite", "tiny_run.c", "tiny_run.h"):
        (folder / name).unlink()
    answer = run(capsys, *words)
    assert (answer.code, answer.err) == (
        2,
        f"edgecut: error: {folder / 'tiny_outputs.h'}: exists; pass --force to replace it\n",
    )
    assert run(capsys, *words, "--force").code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["tiny.tflite", "tiny_run.c", "tiny_run.h"]


def test_a_file_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c").write_text("")
    answer = run(capsys, "export", str(INT8), "--format", "c", "-o", str(tmp_path / "c"))
    assert (answer.code, answer.err) == (2, f"edgecut: error: {tmp_path / 'c'}: is a file; name a folder\n")


def test_other_precisions_are_no_c(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "export", str(INT8), "--format", "c", "--precision", "float32", "-o", str(tmp_path / "c"))
    assert (answer.code, answer.err) == (
        2,
        "edgecut: error: --precision: C is generated from int8, found float32\n",
    )


def test_nothing_is_written_of_a_file_that_can_t_be_c(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "float.tflite"
    shutil.copy(FIXTURES / "tiny.float32.tflite", source)
    answer = run(capsys, "export", str(source), "--format", "c", "-o", str(tmp_path / "c"))
    assert (answer.code, answer.err) == (
        3,
        f"edgecut: error: {source}: CONV_2D (layer 'stem'), DEPTHWISE_CONV_2D (layer 'depthwise'), CONV_2D (layer "
        "'pointwise') and 3 more have float32 data, and int8 is expected; quantize the whole model\n",
    )
    assert not (tmp_path / "c").exists()


def test_a_file_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "empty.tflite"
    source.write_bytes(b"")
    answer = run(capsys, "export", str(source), "--format", "c", "-o", str(tmp_path / "c"))
    assert (answer.code, answer.err) == (2, f"edgecut: error: {source}: is empty; a .tflite file is expected\n")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("dist/models/my-net.int8.tflite", "my_net"),
        ("keras:MobileNetV2?weights=none", "mobilenetv2"),
        ("2nd.keras", "m2nd"),
        ("a folder", "a_folder"),
    ],
)
def test_the_c_is_called_as_its_source(source: str, name: str) -> None:
    assert c_name(source) == name


def test_a_recipe_that_asks_for_c_writes_the_int8_file_and_no_other() -> None:
    assert planned_files(Export(formats=("c",))) == (("tflite", "int8"),)
    assert planned_files(Export(formats=("c",), precisions=("float32", "auto"))) == (("tflite", "auto"),)
    assert planned_files(Export(formats=("onnx", "c"))) == (("onnx", "float32"), ("onnx", "int8"), ("tflite", "int8"))
    assert planned_files(Export(formats=("tflite", "c"))) == (("tflite", "float32"), ("tflite", "int8"))


def test_c_of_other_precisions_is_a_fault_of_the_recipe() -> None:
    source = {"model": str(FIXTURES / "tiny.keras")}
    export = {"formats": ["c"], "precisions": ["float32"]}
    recipe = Recipe.model_validate({"schema": "edgecut.recipe/1", "name": "x", "source": source, "export": export})
    with pytest.raises(
        DocumentError, match=r"export\.formats: c is generated from int8 and auto; add one to export.prec"
    ):
        plan(recipe)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("my net-1 (β).tflite", "my_net_1"),
        ("a__b.tflite", "a_b"),
        ("__x_.int8.tflite", "x"),
        ("7.tflite", "m7"),
        ("---.tflite", "model"),
    ],
)
def test_no_identifier_is_one_that_c_or_cpp_reserves(file: str, name: str) -> None:
    assert c_name(file) == name
