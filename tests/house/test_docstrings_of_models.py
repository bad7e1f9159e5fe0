"""The examples in docstrings of rooms that need TensorFlow are so."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import pytest

from tests.house.examples import check_examples, with_examples
from tests.house.test_floors import PACKAGE

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bell.keras: pictures of 8x8x3 to 5 scores."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    x = image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(5, activation="softmax", name="scores")(x)
    path = tmp_path_factory.mktemp("bell") / "bell.keras"
    keras.Model(image, x, name="bell").save(path)
    return path


@pytest.mark.parametrize("path", with_examples(light=False), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_examples_give_what_they_say(path: Path, bell: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(model, bell)
    assert check_examples(path) == 0, capsys.readouterr().out
