"""Small networks over arrays, two of them trained on made sounds. TensorFlow is loaded when one is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.once import made_once
from tools.make_sounds import KEYWORDS, hum, keywords


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keywords.keras, .npz and .txt, hum.keras and .npz."""

    def make(folder: Path) -> None:
        keyword_net(folder)
        hum_net(folder)

    return made_once(tmp_path_factory, "sounds", make)


def keyword_net(folder: Path) -> None:
    """keywords.keras and keywords.npz: a DS-CNN over 49 frames of 10 bands, trained for some seconds."""
    import keras

    L = keras.layers
    (x, y), (x_test, y_test) = keywords(600, 0), keywords(200, 1)
    keras.utils.set_random_seed(0)
    frames = L.Input((49, 10, 1), name="frames")
    mean, std = float(x.mean()), float(x.std())
    tensor = L.Rescaling(1 / std, -mean / std, name="scaled")(frames)
    tensor = L.Conv2D(16, (10, 4), strides=2, padding="same", use_bias=False, name="conv")(tensor)
    tensor = L.ReLU(name="conv_relu")(L.BatchNormalization(momentum=0.9, name="conv_bn")(tensor))
    tensor = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(tensor)
    tensor = L.ReLU(name="depthwise_relu")(L.BatchNormalization(momentum=0.9, name="depthwise_bn")(tensor))
    tensor = L.Conv2D(16, 1, activation="relu", name="pointwise")(tensor)
    tensor = L.Flatten(name="flat")(L.AveragePooling2D((25, 5), name="pool")(tensor))
    model = keras.Model(frames, L.Dense(len(KEYWORDS), activation="softmax", name="scores")(tensor))
    model.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=8, batch_size=32, verbose=0)
    model.save(folder / "keywords.keras")
    np.savez(folder / "keywords.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    (folder / "keywords.txt").write_text("\n".join(KEYWORDS), "utf-8")


def hum_net(folder: Path) -> None:
    """hum.keras and hum.npz: a dense autoencoder 640-8-640, trained for some seconds."""
    import keras

    L = keras.layers
    x, strange = hum(1200, 2)
    x_test, strange_test = hum(200, 3)
    x = x[strange == 0]
    keras.utils.set_random_seed(0)
    tensor = bands = L.Input((640,), name="bands")
    mean, std = float(x.mean()), float(x.std())
    tensor = L.Rescaling(1 / std, -mean / std, name="scaled")(tensor)
    for place, units in enumerate((64, 8, 64)):
        tensor = L.Dense(units, activation="relu", name=f"dense_{place}")(tensor)
    tensor = L.Rescaling(std, mean, name="restored")(L.Dense(640, name="rebuilt")(tensor))
    model = keras.Model(bands, tensor)
    model.compile(keras.optimizers.Adam(5e-3), "mse")
    model.fit(x, x, epochs=12, batch_size=32, verbose=0)
    model.save(folder / "hum.keras")
    np.savez(folder / "hum.npz", x_train=x, x_test=x_test, y_test=strange_test)


def windows_net(folder: Path) -> None:
    """windows.keras and windows.npz: a stack of Conv1D over 64 samples of 3 axes, with seeded weights."""
    import keras

    L = keras.layers
    keras.utils.set_random_seed(1)
    tensor = window = L.Input((64, 3), name="window")
    for place in range(3):
        tensor = L.Conv1D(8, 5, strides=2, padding="same", activation="relu", name=f"conv_{place}")(tensor)
    model = keras.Model(window, L.Dense(5, name="scores")(L.GlobalAveragePooling1D(name="mean")(tensor)))
    model.save(folder / "windows.keras")
    random = np.random.default_rng(0)
    y = np.arange(120) % 3
    time = np.arange(64)[None, :, None]
    x = np.sin(time * (0.3 + 0.4 * y[:, None, None])) + random.normal(0, 0.3, (120, 64, 3))
    np.savez(folder / "windows.npz", x_train=(1000 * x).astype(np.int16), y_train=y)


def pair_net(folder: Path) -> None:
    """pair.keras and pair.npz: one Dense shared by two inputs, named against the order of the alphabet."""
    import keras

    L = keras.layers
    keras.utils.set_random_seed(2)
    right, left = L.Input((6, 2), name="right"), L.Input((12,), name="left")
    shared = L.Dense(16, activation="relu", name="shared")
    apart = L.Subtract(name="apart")([shared(L.Flatten(name="flat")(right)), shared(left)])
    keras.Model([right, left], L.Dense(2, activation="softmax", name="scores")(apart)).save(folder / "pair.keras")
    random = np.random.default_rng(0)
    left_x, y = random.normal(size=(60, 12)), np.arange(60) % 2
    right_x = (left_x * y[:, None] + random.normal(0, 0.1, (60, 12))).reshape(60, 6, 2)
    np.savez(folder / "pair.npz", **{"x_train.left": left_x, "x_train.right": right_x, "y_train": y})


def recurrent_net(folder: Path, kind: str) -> None:
    """recurrent.keras and recurrent.npz: a GRU or LSTM over 12 steps, saved as a loop."""
    import keras

    L = keras.layers
    keras.utils.set_random_seed(3)
    steps = L.Input((12, 4), name="steps")
    tensor = getattr(L, kind)(8, name="recurrent")(steps)
    keras.Model(steps, L.Dense(3, activation="softmax", name="scores")(tensor)).save(folder / "recurrent.keras")
    random = np.random.default_rng(0)
    y = np.arange(60) % 3
    np.savez(folder / "recurrent.npz", x_train=random.normal(size=(60, 12, 4)) + y[:, None, None], y_train=y)
