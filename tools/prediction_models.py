"""Models on which latency predictions are judged: written once as .tflite files, float and int8, two sizes each.

`prediction_models.py FOLDER` writes those that FOLDER lacks. No model of this list may be used in a fit, nor to choose
what is fitted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgecut.graph.quiet import import_keras_quietly

PRECISIONS = ("float32", "int8")
# Name -> the two input sizes, square.
SIZES = {
    "MobileNet": (224, 128),
    "MobileNetV2": (224, 128),
    "MobileNetV3Small": (224, 128),
    "EfficientNetB0": (224, 128),
    "ResNet50V2": (224, 128),
    "SqueezeNet": (224, 128),
    "DenseNet121": (224, 128),
}
# Files of EDGECUT_REAL: the .h5 is converted as float, the .tflite is int8 as it was published.
REAL = ("cifar10_resnet", "rock_paper_scissors", "visual_wake_words")

Build = Callable[[], Any]


def main(arguments: list[str]) -> None:
    """Write every file that the folder lacks; a line for each."""
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in missing(folder):
        write()
        print(name, flush=True)


def missing(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """(file name, what writes it) of each file that isn't there."""
    for name, sizes in SIZES.items():
        for size in sizes:
            yield from absent(folder, f"{name}_{size}", lambda name=name, size=size: build(name, size))  # type: ignore[misc]
    real = os.environ.get("EDGECUT_REAL")
    for name in REAL if real else ():
        path = Path(real or "") / name
        yield from absent(folder, name, lambda path=path: loaded(path.with_suffix(".h5")), ("float32",))  # type: ignore[misc]
        target = folder / f"{name}.int8.tflite"
        if not target.exists():
            yield target.name, lambda path=path, target=target: copied(path.with_suffix(".tflite"), target)  # type: ignore[misc]


def absent(
    folder: Path, name: str, made: Build, precisions: tuple[str, ...] = PRECISIONS
) -> Iterator[tuple[str, Callable[[], None]]]:
    """(file name, what writes it) of each precision of a model that the folder lacks."""
    for precision in precisions:
        path = folder / f"{name}.{precision}.tflite"
        if not path.exists():
            yield path.name, lambda path=path, precision=precision: written(made(), precision, path)  # type: ignore[misc]


def build(name: str, size: int) -> Any:
    """A network of keras.applications, or the SqueezeNet below, with random weights."""
    import_keras_quietly()
    import keras

    keras.utils.set_random_seed(0)
    if name == "SqueezeNet":
        return squeezenet(size)
    return getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3))


def loaded(path: Path) -> Any:
    """The model of a file, with inputs of its own also where the file holds a Sequential."""
    import edgecut

    return edgecut.cut(edgecut.load(str(path)))


def copied(source: Path, target: Path) -> None:
    """Copy a file."""
    target.write_bytes(source.read_bytes())


def written(model: Any, precision: str, path: Path) -> None:
    """Write a model as .tflite; the calibration images are noise, since the values don't matter to the time."""
    from edgecut.export.artifacts import export

    shape = model.inputs[0].shape[1:]
    noise = np.random.default_rng(0).uniform(-1, 1, (4, *shape)).astype(np.float32)
    export(model, "tflite", precision, noise if precision == "int8" else None, path)  # type: ignore[arg-type]


def squeezenet(size: int) -> Any:
    """SqueezeNet 1.1 (Iandola et al. 2016, and its repository's v1.1) with random weights."""
    import keras
    from keras import layers

    image = x = layers.Input((size, size, 3))
    x = layers.MaxPooling2D(3, 2)(layers.Conv2D(64, 3, 2, activation="relu")(x))
    for k, (squeeze, expand) in enumerate([(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256),
                                           (64, 256)]):  # fmt: skip
        x = layers.Conv2D(squeeze, 1, activation="relu")(x)
        sides = [layers.Conv2D(expand, n, padding="same", activation="relu")(x) for n in (1, 3)]
        x = layers.Concatenate()(sides)
        if k in (1, 3):
            x = layers.MaxPooling2D(3, 2)(x)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(1000, 1, activation="relu")(x))
    return keras.Model(image, layers.Softmax()(x), name="squeezenet")


if __name__ == "__main__":
    main(sys.argv[1:])
