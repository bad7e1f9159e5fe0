"""What `edgecut inspect FILE.onnx --import` and `edgecut plan FILE.onnx` say, without TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import run
from tests.source.onnx.torch_cnn import torch_cnn

HINT = (
    "edgecut: an .onnx file doesn't say what its pixels are: torchvision's and most of timm's models were trained on "
    "--preprocess torch, whose mean differs by channel, so a gray camera then feeds raw bytes (--gray --pixels raw)\n"
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch_cnn(Path("cnn.onnx"))
    torch_cnn(Path("places.onnx"), tail="NonZero")
    torch_cnn(Path("open.onnx"), size="H")


def test_what_would_go_is_listed_with_what_it_becomes(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "inspect", "cnn.onnx", "--import")
    assert (answer.code, answer.err) == (0, f"{HINT}edgecut: next: edgecut import cnn.onnx -o cnn.keras\n")
    assert "cnn.onnx: pytorch, opset 17, 17 nodes; all of its operators can be had" in answer.out
    document = json.loads(run(capsys, "inspect", "cnn.onnx", "--import", "--json").out)
    assert (document["operators"]["Conv"], document["refused"], document["cuts"]) == (4, [], [])


def test_what_would_not_go_is_listed_with_its_place_and_the_command_that_cuts_it_off(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = run(capsys, "inspect", "places.onnx", "--import")
    cut = "cut it off, and import the part: edgecut cut places.onnx --to /fc/Gemm_output_0 -o part.onnx"
    assert (answer.code, answer.err) == (0, f"edgecut: {cut}\n{HINT}")
    document = json.loads(run(capsys, "inspect", "places.onnx", "--import", "--json").out)
    reason = "puts out as many places as the data says"
    assert document["refused"] == [{"operator": "NonZero", "places": ["/tail/NonZero"], "reason": reason}]


def test_sizes_that_are_open_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "inspect", "open.onnx", "--import")
    said = "the file leaves sizes of 'input' open: say them, without the batch, with --shape 3x224x224"
    assert answer.err.splitlines()[0] == f"edgecut: {said}"


def test_a_file_of_another_kind_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    Path("m.tflite").write_bytes(b"\0\0\0\0TFL3 and so on")
    answer = run(capsys, "inspect", "m.tflite", "--import")
    said = "--import: m.tflite is no .onnx file; other models are taken as they are"
    assert (answer.code, answer.err) == (2, f"edgecut: error: {said}\n")


def test_a_shape_that_the_file_doesn_t_have_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "inspect", "cnn.onnx", "--import", "--shape", "3x32x33")
    said = "cnn.onnx: takes 'input' as (3, 32, 32) behind the batch, and shape= says (3, 32, 33)"
    assert (answer.code, answer.err) == (2, f"edgecut: error: {said}\n")


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["cnn.onnx"], ""),
        (["cnn.onnx", "--to", "block.add"], ""),
        (["cnn.onnx", "--to", "stem.0.pad"], ""),
        (["cnn.onnx", "--to", "block.ad"],
         "cnn: cut.to: no layer 'block.ad' (closest: 'block.add', 'block.depthwise.2', 'block.depthwise.1', "
         "'block.depthwise.0')"),
        (["open.onnx"],
         "open: source.shape: open.onnx leaves sizes of 'input' open; say them without the batch (--shape 3x224x224)"),
        (["open.onnx", "--shape", "3x32x32"], ""),
        (["open.onnx", "--shape", "3x32"],
         "open: source.shape: open.onnx: takes 'input' as (3, ?, ?) behind the batch, and shape= says (3, 32)"),
        (["cnn.onnx", "--shape", "3x32x33"],
         "cnn: source.shape: cnn.onnx: takes 'input' as (3, 32, 32) behind the batch, and shape= says (3, 32, 33)"),
        (["cnn.onnx", "--shape", "nope=3x32x32"],
         "cnn: source.shape: cnn.onnx: takes no input 'nope'; its inputs are 'input'"),
        (["places.onnx"],
         "places: source.model: places.onnx: can't be imported: NonZero (puts out as many places as the data says) at "
         "'/tail/NonZero'; cut it off, and import the part: edgecut cut places.onnx --to /fc/Gemm_output_0 -o "
         "part.onnx"),
    ],
)  # fmt: skip
def test_a_plan_tells_what_stands_in_the_way(capsys: pytest.CaptureFixture[str], words: list[str], fault: str) -> None:
    answer = run(capsys, "plan", *words, "--precision", "float32")
    assert (answer.code, answer.err) == ((2, f"edgecut: error: {fault}\n") if fault else (0, ""))
