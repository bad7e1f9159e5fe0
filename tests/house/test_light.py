"""Beside edgecut-lite alone a command that needs more says what brings it, starts nothing and writes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgecut.records.packages import PACKAGES

FIXTURES = Path(__file__).parents[1] / "fixtures"
DEMO = Path(__file__).parents[2] / "edgecut" / "demo_data"
# Python finds neither what edgecut-lite leaves out nor the distribution edgecut.
HIDING = """
import importlib.machinery, importlib.metadata
find, version = importlib.machinery.PathFinder.find_spec, importlib.metadata.version

def find_spec(cls, name, *rest):
    return None if name.partition(".")[0] in {hidden!r} else find(name, *rest)

def without_edgecut(name):
    if name == "edgecut":
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)

importlib.machinery.PathFinder.find_spec = classmethod(find_spec)
importlib.metadata.version = without_edgecut
"""
# One process does all: most of each command's time is the import of what they share.
DRIVER = """
import contextlib, io, json, sys
from edgecut.cli.main import main
answers = []
for words in json.loads(sys.argv[1]):
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(words)
        except SystemExit as end:
            answers.append([end.code, err.getvalue()])
print(json.dumps(answers))
"""
TENSORFLOW = "edgecut: error: TensorFlow isn't here, and this needs it; it comes with: pip install edgecut\n"
ONNX = "edgecut: error: onnx isn't here, and this needs it; it comes with: pip install 'edgecut-lite[onnx]'\n"
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
    ONNX: [
        ["inspect", str(FIXTURES / "tiny.int8.onnx")],
        ["bench", str(FIXTURES / "tiny.int8.onnx"), "--runs", "2"],
        ["compare", str(FIXTURES / "tiny.int8.onnx"), str(FIXTURES / "tiny.int8.tflite")],
        ["run", str(FIXTURES / "tiny.int8.onnx"), DATA],
        ["cut", str(FIXTURES / "tiny.int8.onnx"), "--to", "x", "-o", "out.onnx"],
    ],
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[list[str], int, str]]]:
    """{what is to be said: each command, its exit code, what it said}."""
    folder = tmp_path_factory.mktemp("light")
    (folder / "site").mkdir()
    hidden = {package.module for package in PACKAGES if package.light}
    (folder / "site" / "sitecustomize.py").write_text(HIDING.format(hidden=hidden))
    commands = [words for each in NEEDY.values() for words in each]
    child = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(commands)],
        env={**os.environ, "PYTHONPATH": str(folder / "site"), "XDG_CACHE_HOME": str(folder), "EDGECUT_CACHE": ""},
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    said = iter(json.loads(child.stdout))
    rows = {sentence: [(words, *next(said)) for words in each] for sentence, each in NEEDY.items()}
    return {**rows, "written": [([path.name], 0, "") for path in folder.iterdir() if path.name.startswith("out")]}


@pytest.mark.parametrize("sentence", NEEDY, ids=["TensorFlow", "onnx"])
def test_a_command_says_what_brings_what_it_needs(
    answers: dict[str, list[tuple[list[str], int, str]]], sentence: str
) -> None:
    rows = answers[sentence]
    assert [(words, code, said.splitlines(keepends=True)[-1]) for words, code, said in rows] == [
        (words, 4, sentence) for words in NEEDY[sentence]
    ]


def test_nothing_is_left_behind(answers: dict[str, list[tuple[list[str], int, str]]]) -> None:
    assert answers["written"] == []
