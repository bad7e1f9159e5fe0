"""Train the small RGB network that `edgecut demo` cuts, and write it as a .keras file.

    python tools/train_demo.py cifar10.npz edgecut/demo_data/cifar10_backbone.keras

The .npz holds x_train, y_train, x_test and y_test of CIFAR-10. Seeded; about ten minutes on one core. The
file holds the float32 weights without optimizer state; the pixels are x / 127.5 - 1 (preprocess = "tf").
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers

CROP_MARGIN = 4
LABEL_SMOOTHING = 0.05
MINIMUM_ACCURACY = 0.75


def main() -> None:
    """Train, measure on the test images, and write the file if the accuracy is good enough."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, help="CIFAR-10 as an .npz")
    parser.add_argument("model", type=Path, help="the .keras file to write")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    _limit_threads(arguments.threads)
    keras.utils.set_random_seed(20)
    with np.load(arguments.images) as data:
        x_train, y_train = data["x_train"], data["y_train"].reshape(-1)
        x_test, y_test = data["x_test"], data["y_test"].reshape(-1)
    model = backbone()
    model.summary()
    train(model, x_train, y_train, epochs=arguments.epochs)
    scores = model.predict(normalized(x_test), batch_size=500, verbose=0)
    accuracy = float(np.mean(scores.argmax(axis=1) == y_test))
    print(f"test accuracy {accuracy:.4f} on {len(y_test)} images")
    if accuracy < MINIMUM_ACCURACY:
        raise SystemExit(f"{accuracy:.3f} is below {MINIMUM_ACCURACY}; the file was not written")
    # Without the compiled loss and optimizer, the file holds weights and architecture alone.
    clean = keras.Model.from_config(model.get_config())
    clean.set_weights(model.get_weights())
    clean.save(arguments.model)
    print(f"{arguments.model}: {arguments.model.stat().st_size} bytes")


def backbone() -> keras.Model:
    """A residual network for 32x32x3: four stages, ReLU6 throughout, 10 classes.

    Every convolution is followed by BatchNormalization, and ReLU6 bounds every activation, so that int8
    ranges stay small.
    """
    pixels = keras.Input((32, 32, 3), name="pixels")
    x = _conv(pixels, "stem", 16)
    x = _block(x, "block_1", 32, stride=2)
    x = _block(x, "block_2", 64, stride=2)
    x = _block(x, "block_3", 64, stride=1)
    x = _block(x, "block_4", 64, stride=2)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(10, activation="softmax", name="predictions")(x)
    return keras.Model(pixels, x, name="cifar10_backbone")


def train(model: keras.Model, images: np.ndarray, labels: np.ndarray, *, epochs: int, batch: int = 128) -> None:
    """Fit in place: SGD, one warm-up, a cosine decay; each epoch shifts and mirrors the images anew."""
    steps = epochs * (len(images) // batch)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.02, steps - steps // 5, warmup_target=0.2, warmup_steps=steps // 5
    )
    model.compile(
        optimizer=keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, weight_decay=5e-4),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=LABEL_SMOOTHING),
        metrics=["accuracy"],
        jit_compile=False,
    )
    random = np.random.default_rng(20)
    targets = np.eye(10, dtype=np.float32)[labels]
    for epoch in range(epochs):
        started = time.perf_counter()
        order = random.permutation(len(images))[: steps // epochs * batch]
        fed = normalized(augmented(images[order], random))
        history = model.fit(fed, targets[order], batch_size=batch, shuffle=False, verbose=0).history
        seconds = time.perf_counter() - started
        print(f"epoch {epoch + 1}/{epochs}: accuracy {history['accuracy'][0]:.4f}, {seconds:.0f} s", flush=True)


def augmented(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The images shifted by up to CROP_MARGIN pixels and mirrored half of the time; (n, 32, 32, 3) uint8."""
    count, height, width, _ = images.shape
    margin = ((0, 0), (CROP_MARGIN, CROP_MARGIN), (CROP_MARGIN, CROP_MARGIN), (0, 0))
    padded = np.pad(images, margin, mode="reflect")
    top, left = random.integers(0, 2 * CROP_MARGIN + 1, (2, count))
    rows = top[:, None] + np.arange(height)
    columns = left[:, None] + np.arange(width)
    mirrored = random.random(count) < 0.5
    columns[mirrored] = columns[mirrored, ::-1]
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def normalized(images: np.ndarray) -> np.ndarray:
    """Bytes as the network takes them: x / 127.5 - 1, float32."""
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)


def _conv(x: keras.KerasTensor, name: str, filters: int, stride: int = 1) -> keras.KerasTensor:
    x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return _normalized_relu(x, name)


def _block(x: keras.KerasTensor, name: str, filters: int, stride: int) -> keras.KerasTensor:
    """A residual block; its shortcut is a 1x1 convolution where the shape changes."""
    shortcut = x
    if stride != 1 or x.shape[-1] != filters:
        shortcut = _linear(x, f"{name}_shortcut", filters, kernel=1, stride=stride)
    y = _conv(x, f"{name}_1", filters, stride)
    y = _linear(y, f"{name}_2", filters, kernel=3, stride=1)
    y = layers.Add(name=f"{name}_add")([shortcut, y])
    return layers.ReLU(max_value=6.0, name=f"{name}_relu")(y)


def _linear(x: keras.KerasTensor, name: str, filters: int, kernel: int, stride: int) -> keras.KerasTensor:
    conv: Callable[[keras.KerasTensor], keras.KerasTensor] = layers.Conv2D(
        filters, kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_conv"
    )
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(conv(x))


def _normalized_relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(max_value=6.0, name=f"{name}_relu")(x)


def _limit_threads(threads: int) -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


if __name__ == "__main__":
    main()
