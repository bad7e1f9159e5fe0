"""`edgecut explain` on the demo's model, and on files with one known fault each."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from edgecut import export
from edgecut.cli.main import main
from edgecut.images.dataset import read_calibration
from edgecut.images.preprocess import normalize
from edgecut.source.load import load
from tests.command_line import run

pytestmark = pytest.mark.tensorflow

DEMO = Path(__file__).parents[2] / "edgecut" / "demo_data"
SOURCE, DATA = str(DEMO / "cifar10_backbone.keras"), str(DEMO / "fashion_mnist.npz")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return load(SOURCE)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return read_calibration(DATA, (32, 32, 3), count=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model: keras.Model, pixels: np.ndarray) -> Path:
    """int8 files of the demo's model: sound, and calibrated on black pictures."""
    folder = tmp_path_factory.mktemp("files")
    fed = normalize(pixels, "tf")
    export(model, "tflite", "int8", fed, folder / "sound.tflite")
    black = np.full_like(fed, -1.0)
    # As a build does it: both extremes are in the calibration set, so that bytes pass unchanged.
    black[0, 0, 0], black[0, -1, -1] = -1.0, 1.0
    export(model, "tflite", "int8", black, folder / "black.tflite")
    return folder


def explanation(capsys: pytest.CaptureFixture[str], file: Path, *flags: str) -> dict:
    answer = run(capsys, "explain", str(file), "--source", SOURCE, "--data", DATA, *flags, "--json")
    assert (answer.code, answer.err) == (0, "")
    return json.loads(answer.out)["explanation"]


@pytest.fixture(scope="module")
def sound(folder: Path) -> dict:
    """What is explained of the sound file, with its plot beside it: sound.svg."""
    words = ("--source", SOURCE, "--data", DATA, "--preprocess", "tf", "--plot", str(folder / "sound.svg"), "--json")
    with redirect_stdout(io.StringIO()) as stdout, pytest.raises(SystemExit) as end:
        main(["explain", str(folder / "sound.tflite"), *words])
    assert end.value.code == 0
    return json.loads(stdout.getvalue())["explanation"]


def test_every_residual_sum_and_dense_layer_is_explained_in_the_sources_names(sound: dict, model: keras.Model) -> None:
    names = [layer["name"] for layer in sound["layers"]]
    assert {"stem_relu", "block_2_relu", "predictions"} <= set(names)
    assert set(names) <= {layer.name for layer in model.layers}
    assert (sound["collapses_at"], sound["in_float"], sound["suspicions"]) == (None, [], [])


def test_black_calibration_images_are_told_as_uncalibrated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = explanation(capsys, folder / "black.tflite", "--preprocess", "tf")
    assert "uncalibrated" in {suspicion["cause"] for suspicion in found["suspicions"]}
    assert found["collapses_at"] is not None


def test_a_wrong_preprocess_is_told_with_the_remedy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = explanation(capsys, folder / "sound.tflite", "--preprocess", "none")
    assert found["suspicions"][0]["cause"] == "wrong preprocess"
    assert found["suspicions"][0]["sentence"].endswith("; pass --preprocess tf")


def test_the_plot_shows_every_layer(sound: dict, folder: Path) -> None:
    plot = (folder / "sound.svg").read_text(encoding="utf-8")
    assert all(f">{layer['name']}</text>" in plot for layer in sound["layers"])


def test_the_plot_can_be_a_picture_of_points(
    sound: dict, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "error.png"
    again = explanation(capsys, folder / "sound.tflite", "--preprocess", "tf", "--plot", str(plot))
    assert again == sound
    assert Image.open(plot).size == (1000, 64 + 22 * (len(sound["layers"]) + 2))


def test_the_table_ends_with_the_reasons(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(
        capsys, "explain", str(folder / "black.tflite"), "--source", SOURCE, "--data", DATA, "--preprocess", "tf"
    )
    assert answer.code == 0
    assert answer.out.startswith("black.tflite: collapses at ")
    assert "calibrate on images of the" in answer.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["m.onnx", "--source", SOURCE, "--data", DATA],
         "m.onnx: an ONNX file's interior can't be read; explain the .tflite file of its build"),
        (["absent.tflite", "--source", SOURCE, "--data", DATA], "absent.tflite: no such file"),
        (["{int8}", "--source", SOURCE], "explain: the file and the source are compared on images; pass --data"),
        (["{int8}", "--source", SOURCE, "--data", "nowhere"], "--data: no such file or folder 'nowhere'"),
        (["{float}", "--source", SOURCE, "--data", DATA],
         "{float}: nothing in it is quantized, so there is nothing to explain"),
        (["{int8}", "--source", SOURCE, "--data", DATA, "--plot", "p.jpg"],
         "--plot: p.jpg ends in neither .svg nor .png; rename it"),
    ],
    ids=["onnx", "absent", "no data", "data absent", "float", "plot"],
)  # fmt: skip
def test_a_wrong_request_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    fixtures = Path(__file__).parents[1] / "fixtures"
    places = {"{int8}": str(folder / "sound.tflite"), "{float}": str(fixtures / "tiny.float32.tflite")}
    for mark, place in places.items():
        arguments, sentence = [place if a == mark else a for a in arguments], sentence.replace(mark, place)
    assert run(capsys, "explain", *arguments) == (2, "", f"edgecut: error: {sentence}\n")


def test_a_source_that_takes_other_pictures_is_fitted_to_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: keras.Model, pixels: np.ndarray
) -> None:
    from edgecut import stem

    gray = stem(model, channels=1, preprocess="tf").model
    export(gray, "tflite", "int8", normalize(pixels[..., :1], "tf"), tmp_path / "gray.tflite")
    found = explanation(capsys, tmp_path / "gray.tflite", "--preprocess", "tf")
    assert found["collapses_at"] is None
    assert "block_2_relu" in {layer["name"] for layer in found["layers"]}
