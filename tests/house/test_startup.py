"""Commands that answer without a model never import TensorFlow, Keras or the converters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Set
from pathlib import Path

import h5py
import pytest

from tests.command_line import Answer
from tests.hidden import answers
from tests.quick import HEAVY
from tests.saved_models import classifier

BLOCKER = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ImportError(f"{{name}} is blocked by the test")

sys.meta_path.insert(0, Blocked())
"""
FIXTURES = Path(__file__).parents[1] / "fixtures"
DEMO = Path(__file__).parents[2] / "edgecut" / "demo_data"


def run(folder: Path, *arguments: str, blocked: Set[str] = HEAVY) -> subprocess.CompletedProcess[str]:
    """Runs edgecut in a child in which the packages can't be imported."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(BLOCKER.format(names=blocked))
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "80", "XDG_CACHE_HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "edgecut", *arguments],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_onnx_runtime_tells_nobody_of_the_models(tmp_path: Path) -> None:
    """Where its telemetry is on, it makes a file of what it has to tell."""
    model = FIXTURES / "tiny.float32.onnx"
    words = ["bench", str(model), "--runs", "1"]
    environment = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "CI")}
    child = subprocess.run(
        [sys.executable, "-m", "edgecut", *words], env={**environment, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_blocker_blocks(tmp_path: Path) -> None:
    run(tmp_path, "--version")
    child = subprocess.run(
        [sys.executable, "-c", "import tensorflow"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert child.stderr.strip().endswith("ImportError: tensorflow is blocked by the test")


ALONE = [
    ["--version"],
    ["plan", str(DEMO / "recipe.toml"), "--profile", "nucleo-l4r5zi,host"],
    ["bench", str(FIXTURES / "tiny.int8.tflite"), "--runs", "2"],
]
ONE_AFTER_ANOTHER = [
    ["--help"],
    ["build", "--help"],
    ["inspect", "--help"],
    ["profile", "list"],
    ["profile", "show", "nucleo-l4r5zi"],
    ["inspect", str(FIXTURES / "tiny.int8.tflite"), "--profile", "nucleo-l4r5zi"],
    ["inspect", str(FIXTURES / "tiny.int8.onnx")],
    ["inspect", str(DEMO / "cifar10_backbone.keras")],
    ["inspect", str(DEMO / "cifar10_backbone.keras"), "--cuts", "--profile", "nucleo-l4r5zi", "--svg", "net.svg"],
    ["plan", str(FIXTURES / "tiny.float32.onnx"), "--precision", "float32"],
    ["compare", str(FIXTURES / "tiny.int8.tflite"), str(FIXTURES / "tiny.int8.tflite")],
    ["new", str(DEMO / "cifar10_backbone.keras"), "--profile", "esp32-s3"],
    ["inspect", "m.h5", "--legal"],
    ["plan", "m.h5", "--precision", "float32"],
]


def line_of(words: list[str]) -> str:
    return " ".join(Path(word).name for word in words)


@pytest.mark.parametrize("arguments", ALONE, ids=line_of)
def test_a_light_command_works_without_tensorflow(tmp_path: Path, arguments: list[str]) -> None:
    child = run(tmp_path, *arguments)
    assert (child.stderr, child.returncode) == ("", 0)
    assert child.stdout.strip() != ""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """Command -> what it answers in one process for all, which doesn't find the packages."""
    folder = tmp_path_factory.mktemp("light")
    with h5py.File(folder / "m.h5", "w") as file:
        file.attrs.update({"model_config": json.dumps(classifier()), "keras_version": "2.8.0"})
    return dict(zip(map(line_of, ONE_AFTER_ANOTHER), answers(folder, ONE_AFTER_ANOTHER, HEAVY), strict=True))


@pytest.mark.parametrize("command", map(line_of, ONE_AFTER_ANOTHER))
def test_light_commands_work_in_a_process_without_tensorflow(said: dict[str, Answer], command: str) -> None:
    wrote = "edgecut: wrote net.svg\n" if "--svg" in command else ""
    assert (said[command].err, said[command].code) == (wrote, 0)
    assert said[command].out.strip() != ""


def test_the_cuts_of_an_onnx_file_are_told_without_tensorflow(tmp_path: Path) -> None:
    """Keras makes its layers in a child process, which must not find TensorFlow; it is hidden from both."""
    file = str(FIXTURES / "tiny.float32.onnx")
    words = ("inspect", file, "--cuts", "--profile", "nucleo-l4r5zi", "--json")
    child = run(tmp_path, *words, blocked=HEAVY - {"keras"})
    assert child.returncode == 0
    assert " ".join(child.stderr.split()) == (
        "edgecut: takes one input at a time; the model made of it takes any number (dynamic_axes or dynamic_shapes of "
        "torch.onnx.export leave the batch open) "
        f"edgecut: {file}: the import isn't proven on inputs here; `edgecut import`, a cut and a build do it"
    )
    assert next(point["legal_start"] for point in json.loads(child.stdout)["cut_points"])


def test_the_list_of_commands_needs_click_alone(tmp_path: Path) -> None:
    child = run(tmp_path, "--help", blocked=HEAVY | {"numpy", "pydantic", "rich", "onnx", "ai_edge_litert"})
    assert (child.stderr, child.returncode) == ("", 0)


def test_a_mistake_in_a_recipe_is_found_without_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('[source]\nmodel = "m.keras"\n[haed]\nclasses = 3\n')
    child = run(tmp_path, "build", "r.toml", "-o", "out")
    assert (child.stderr, child.returncode) == (
        "edgecut: error: r.toml: haed: unknown key (closest: 'head')\n",
        2,
    )


def test_doctor_names_a_missing_package(tmp_path: Path) -> None:
    site = tmp_path / "hidden"
    site.mkdir()
    # find_spec must say that there is none, as where a package isn't installed.
    (site / "sitecustomize.py").write_text(
        "import importlib.machinery as m\n"
        "find = m.PathFinder.find_spec\n"
        "m.PathFinder.find_spec = classmethod(\n"
        "    lambda cls, name, *rest: None if name == 'onnxruntime' else find(name, *rest))\n"
    )
    child = subprocess.run(
        [sys.executable, "-m", "edgecut", "doctor", "--json"],
        env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (child.stderr, child.returncode) == (
        "edgecut: error: required and not here: onnxruntime; reinstall edgecut with pip\n",
        4,
    )
