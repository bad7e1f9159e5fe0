"""Beside edgecut-lite alone a command that needs more says what brings it, starts nothing and writes nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from edgecut.records.packages import PACKAGES
from edgecut.rooms import public
from tests.command_line import Answer
from tests.hidden import answers, said_by

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


PROGRAM = """
import edgecut
from edgecut.errors import EdgecutError

def said(call):
    try:
        call()
    except EdgecutError as error:
        return type(error).__name__, str(error)

print([said(call) for call in (
    lambda: edgecut.build({recipe!r}, out={out!r}),
    lambda: edgecut.load({backbone!r}),
    lambda: edgecut.export({backbone!r}, {out!r}, precision="int8"),
    lambda: edgecut.search({backbone!r}, {data!r}, out={out!r}, preprocess='tf'),
    lambda: edgecut.bench({onnx!r}, profile="host"),
    lambda: getattr(edgecut, "cut"),
)])
"""


def test_the_python_functions_say_it_too(tmp_path: Path) -> None:
    words = {
        "recipe": str(DEMO / "recipe.toml"), "backbone": BACKBONE, "data": DATA, "out": str(tmp_path / "out"),
        "onnx": str(FIXTURES / "tiny.int8.onnx"),
    }  # fmt: skip
    text = said_by(
        tmp_path, PROGRAM.format(**words), {package.module for package in PACKAGES if package.light}, {"edgecut"}
    )
    tensorflow, onnx = (sentence.removeprefix("edgecut: error: ").rstrip() for sentence in (TENSORFLOW, ONNX))
    told = [tensorflow, tensorflow, tensorflow, tensorflow, onnx, tensorflow]
    assert ast.literal_eval(text) == [("MissingRuntimeError", sentence) for sentence in told]


def test_a_module_that_edgecut_does_not_use_is_python_s_own_error() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'nowhere'$"):
        public("nowhere", "anything")
