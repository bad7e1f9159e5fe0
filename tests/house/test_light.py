"""Beside edgecut-lite alone a command that needs more says what brings it, starts nothing and writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.records.packages import PACKAGES
from tests.command_line import Answer
from tests.hidden import answers

FIXTURES = Path(__file__).parents[1] / "fixtures"
DEMO = Path(__file__).parents[2] / "edgecut" / "demo_data"
TENSORFLOW = "edgecut: error: TensorFlow isn't here, and this needs it; it comes with: pip install edgecut\n"
ONNX = "edgecut: error: onnx isn't here, and this needs it; it comes with: pip install 'edgecut-lite[onnx]'\n"
SCIPY = "edgecut: error: scipy isn't here, and this needs it; it comes with: pip install 'edgecut-lite[fit]'\n"
BACKBONE = str(DEMO / "cifar10_backbone.keras")
DATA = str(DEMO / "fashion_mnist.npz")
NEEDY = {
    TENSORFLOW: [
        ["build", str(DEMO / "recipe.toml"), "-o", "out"],
        ["demo", "-o", "out"],
        ["cut", BACKBONE, "--to", "block_1_relu", "-o", "out.keras"],
        ["stem", BACKBONE, "--gray", "-o", "out.keras"],
        ["export", BACKBONE, "--precision", "float32", "-o", "out.tflite"],
        ["import", str(FIXTURES / "tiny.float32.onnx"), "-o", "out.keras"],
        ["head", BACKBONE, "--to", "block_1_relu", "--classes", "10", "--data", DATA, "-o", "out.keras"],
        ["search", BACKBONE, "--data", DATA, "--preprocess", "tf", "-o", "out"],
        ["explain", str(FIXTURES / "tiny.int8.tflite"), "--source", BACKBONE, "--data", DATA],
    ],
    SCIPY: [
        ["profile", "calibrate", "-o", "out.toml"],
        ["profile", "fit", str(FIXTURES / "tiny.int8.tflite"), "--base", "nucleo-l4r5zi", "-o", "out.toml"],
    ],
    ONNX: [
        ["inspect", str(FIXTURES / "tiny.int8.onnx")],
        ["bench", str(FIXTURES / "tiny.int8.onnx"), "--runs", "2"],
        ["compare", str(FIXTURES / "tiny.int8.onnx"), str(FIXTURES / "tiny.int8.tflite")],
        ["run", str(FIXTURES / "tiny.int8.onnx"), DATA],
        ["cut", str(FIXTURES / "tiny.int8.onnx"), "--to", "x", "-o", "out.onnx"],
    ],
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Answer]]]:
    """(where they ran, {what is to be said: what each command answers})."""
    folder = tmp_path_factory.mktemp("light")
    hidden = {package.module for package in PACKAGES if package.light}
    rows = iter(answers(folder, [words for each in NEEDY.values() for words in each], hidden, {"edgecut"}))
    return folder, {sentence: [next(rows) for _ in each] for sentence, each in NEEDY.items()}


@pytest.mark.parametrize("sentence", NEEDY, ids=["TensorFlow", "scipy", "onnx"])
def test_a_command_says_what_brings_what_it_needs(said: tuple[Path, dict[str, list[Answer]]], sentence: str) -> None:
    last = [
        (words, row.code, row.err.splitlines(keepends=True)[-1])
        for words, row in zip(NEEDY[sentence], said[1][sentence], strict=True)
    ]
    assert last == [(words, 4, sentence) for words in NEEDY[sentence]]


def test_nothing_is_left_behind(said: tuple[Path, dict[str, list[Answer]]]) -> None:
    assert [path.name for path in said[0].iterdir() if path.name.startswith("out")] == []
