"""`edgecut stem` writes the edited model, proven and read back."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from edgecut.images.preprocess import normalize
from tests.stem.firsts import bytes_like, conv_model, relative
from tests.unit.command_line import run


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.keras"
    model = conv_model(3, 2, "same", 16, 16)
    model.save(path)
    return path, model


def test_the_written_model_sees_what_the_source_saw(source, tmp_path, capsys):
    path, model = source
    out = tmp_path / "gray.keras"
    words = ("--gray", "--preprocess", "tf", "--pixels", "raw", "-o", str(out), "--json")
    answer = run(capsys, "stem", str(path), *words)
    step = json.loads(answer.out)
    pixels = bytes_like(16, 16, 1)
    written = keras.models.load_model(out)
    expected = model(normalize(np.repeat(pixels, 3, axis=-1), "tf"))
    assert answer.code == 0
    assert relative(written(pixels.astype("float32")), expected) < 1e-5
    assert (step["name"], step["proof"]["exact"]) == ("stem", True)
    assert step["notes"][0] == "construction: constant padding"
    assert (step["before"]["inputs"], step["after"]["inputs"]) == ([[None, 16, 16, 3]], [[None, 16, 16, 1]])
    assert step["after"]["size_bytes"] == out.stat().st_size


def test_what_cannot_be_done_is_one_sentence_and_writes_nothing(source, tmp_path, capsys):
    out = tmp_path / "out.keras"
    answer = run(capsys, "stem", str(source[0]), "--size", "6x6", "--resolution", "nearest", "-o", str(out))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "edgecut: error: stem: resolution 'nearest': the source's height 16 and the device's 6 have no whole ratio; "
        "use a height such as 8, or resolution 'bilinear' or 'reuse'\n"
    )
    assert not out.exists()


def test_a_wrong_target_is_found_before_the_model_is_loaded(tmp_path, capsys):
    answer = run(capsys, "stem", "model.keras", "--gray", "-o", str(tmp_path / "m.tflite"))
    assert (answer.code, answer.err) == (
        2,
        f"edgecut: error: {Path(tmp_path) / 'm.tflite'}: a Keras model is written; name it *.keras (edgecut export "
        "makes other files of it)\n",
    )
