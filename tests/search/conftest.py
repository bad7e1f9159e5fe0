"""A small model and images that only its middle tells apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.once import made_once

CLASSES = 3


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(model file, image file): 16x16 in colour, 90 training and 60 held-out images of 3 classes."""
    folder = made_once(tmp_path_factory, "small", write_small)
    return folder / "small.keras", folder / "images.npz"


def write_small(folder: Path) -> None:
    """small.keras and images.npz."""
    import keras  # the tests of choosing need no TensorFlow

    keras.utils.set_random_seed(0)
    layers = keras.layers
    x = inputs = keras.Input((16, 16, 3))
    for k, filters in enumerate((8, 16)):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", name=f"conv_{k}")(x)
        x = layers.BatchNormalization(name=f"norm_{k}")(x)
        x = layers.ReLU(name=f"relu_{k}")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depth")(x)
    # What is behind this says nothing any more.
    x = layers.Conv2D(4, 1, kernel_initializer="zeros", name="dead")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(inputs, layers.Dense(5, name="scores")(x), name="small")
    model.save(folder / "small.keras")
    random = np.random.default_rng(0)
    labels = np.arange(150) % CLASSES
    pixels = random.integers(0, 120, (150, 16, 16, 3)).astype("uint8")
    pixels[np.arange(150), :, :, labels] += 60
    np.savez(
        folder / "images.npz", x_train=pixels[:90], y_train=labels[:90], x_test=pixels[90:], y_test=labels[90:]
    )  # fmt: skip
