"""Wrong input is told from what the model itself remembers of its training."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest

from edgecut.images.preprocess import normalize
from edgecut.quantize.feeding import UNIT, feeding_suspicions, picture_suspicions, range_suspicions, smoothness
from edgecut.records.recipe import Preprocess

pytestmark = pytest.mark.tensorflow

L = keras.layers


def pictures(count: int = 32, seed: int = 0) -> np.ndarray:
    """Smooth colour pictures, (count, 16, 16, 3), uint8."""
    coarse = np.random.default_rng(seed).uniform(0, 256, (count, 4, 4, 3))
    return np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2).astype(np.uint8)


def trained_on(preprocess: Preprocess, first: keras.Layer | None = None) -> keras.Model:
    """A model whose BatchNormalization holds the statistics of other such pictures under a preprocessing."""
    x = inputs = keras.Input((16, 16, 3), name="image")
    if first is not None:
        x = first(x)
    conv = L.Conv2D(
        8, 3, padding="same", use_bias=False, name="conv", kernel_initializer=keras.initializers.HeNormal(1)
    )
    norm = L.BatchNormalization(name="bn")
    model = keras.Model(inputs, L.ReLU(name="relu")(norm(conv(x))), name="trained")
    seen = np.asarray(keras.Model(inputs, conv.output)(normalize(pictures(seed=1), preprocess)))
    norm.moving_mean.assign(seen.mean(axis=(0, 1, 2)))
    norm.moving_variance.assign(seen.var(axis=(0, 1, 2)))
    return model


ALL: list[Preprocess] = ["tf", "torch", "caffe", "raw", UNIT]


@pytest.mark.parametrize("preprocess", ALL, ids=str)
def test_the_right_preprocess_is_never_suspected(preprocess: Preprocess) -> None:
    assert feeding_suspicions(trained_on(preprocess), pictures(), preprocess) == ()


@pytest.mark.parametrize(
    ("trained", "given"),
    [("tf", "raw"), ("raw", "tf"), ("tf", "torch"), ("torch", "tf"), ("caffe", "tf"), (UNIT, "tf")],
)
def test_a_wrong_preprocess_is_named_with_the_right_one(trained: Preprocess, given: Preprocess) -> None:
    (suspicion,) = feeding_suspicions(trained_on(trained), pictures(), given)
    word = trained if isinstance(trained, str) else "{scale = 0.00392157}"
    assert (suspicion.cause, suspicion.layer) == ("wrong preprocess", "bn")
    assert suspicion.figure > 0.15
    assert suspicion.sentence.endswith(f"; pass --preprocess {word}")


def test_a_model_that_normalizes_itself_is_not_normalized_twice_on_raw_pixels() -> None:
    model = trained_on("raw", L.Rescaling(1 / 127.5, offset=-1, name="rescale"))
    assert feeding_suspicions(model, pictures(), "none") == ()


def test_normalized_twice_is_told_with_what_the_rescaling_puts_out() -> None:
    model = trained_on("raw", L.Rescaling(1 / 127.5, offset=-1, name="rescale"))
    (suspicion,) = feeding_suspicions(model, pictures(), "tf")
    assert (suspicion.cause, suspicion.layer) == ("normalized twice", "rescale")
    assert suspicion.figure == pytest.approx(1 / 127.5, rel=1e-3)
    assert suspicion.sentence == (
        "the model's own 'rescale' (Rescaling) normalizes the pixels, and they came normalized: it puts out -1.01 to "
        "-0.992 instead of -1 to 1; set source.preprocess = 'none' (--preprocess none)"
    )


@pytest.mark.parametrize(
    ("first", "right"),
    [
        (lambda x: x / 127.5 - 1.0, "none"),
        (L.Normalization(mean=[127.5] * 3, variance=[127.5**2] * 3), "none"),
        (keras.Sequential([L.Rescaling(1 / 255), L.Rescaling(2.0, offset=-1.0)]), "none"),
        (L.Rescaling(2.0, offset=-1.0), UNIT),
        (L.Normalization(mean=[0.5] * 3, variance=[0.25] * 3), UNIT),
    ],
    ids=["arithmetic", "normalization", "two", "stretched unit pixels", "standardized unit pixels"],
)  # fmt: skip
def test_every_kind_of_own_normalization_is_told_from_pixels_that_it_expects(
    first: Callable[[object], object], right: Preprocess
) -> None:
    inputs = keras.Input((16, 16, 3), name="image")
    model = keras.Model(inputs, L.Conv2D(4, 3)(first(inputs)), name="own")
    assert feeding_suspicions(model, pictures(), right) == ()
    twice = feeding_suspicions(model, pictures(), "tf") if right == "none" else ()
    assert [found.cause for found in twice] == (["normalized twice"] if right == "none" else [])


@pytest.mark.parametrize("level", [0, 128, 255])
def test_calibration_pictures_that_show_nothing_are_uncalibrated(level: int) -> None:
    (suspicion,) = picture_suspicions(np.full((20, 16, 16, 3), level, np.uint8))
    assert suspicion.cause == "uncalibrated"
    assert suspicion.sentence == (
        f"the calibration images are all {level} of 255, with a deviation of 0, so that the ranges stand for nothing; "
        "calibrate on images of the device's kind"
    )
    assert picture_suspicions(pictures() // 8) == ()


def test_a_model_without_statistics_is_not_judged() -> None:
    inputs = keras.Input((16, 16, 3))
    model = keras.Model(inputs, L.Conv2D(4, 3)(inputs))
    assert feeding_suspicions(model, pictures(), "raw") == ()


def test_a_files_range_that_fits_its_pictures_is_not_suspected() -> None:
    assert range_suspicions((-1.0, 1.0), pictures(), "tf", "m.tflite") == ()


def test_a_file_calibrated_on_another_preprocess_is_told_by_its_input() -> None:
    (suspicion,) = range_suspicions((0.0, 255.0), pictures(), "tf", "m.tflite")
    assert suspicion.cause == "wrong preprocess"
    assert suspicion.sentence == (
        "the file's input reaches from 0 to 255, as 'raw' gives it, and these images from -1 to 1; pass --preprocess "
        "raw, or calibrate m.tflite anew"
    )


def test_a_file_calibrated_on_black_images_alone_is_uncalibrated() -> None:
    (suspicion,) = range_suspicions((-1.0, 0.0), pictures(), "tf", "m.tflite")
    assert suspicion.cause == "uncalibrated"
    assert suspicion.sentence == (
        "the file's input reaches from -1 to 0, and these images from -1 to 1; calibrate on images of the device's kind"
    )


def test_a_constant_filter_is_smooth_and_an_edge_filter_is_not() -> None:
    kernel = np.zeros((3, 3, 1, 2))
    kernel[..., 0] = 1.0
    kernel[:, 0, 0, 1], kernel[:, 2, 0, 1] = -1.0, 1.0
    np.testing.assert_allclose(smoothness(kernel), [1.0, 0.0])
