"""The stem on real pretrained models: what is called exact is, and bytes lose nothing in int8."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import edgecut
from edgecut.export.tflite import convert, write_saved_model
from edgecut.graph.predict import predict
from edgecut.images.device import model_input, to_device_batch
from edgecut.records.recipe import CustomPreprocess
from edgecut.runtime.files import FileRunner, dequantize
from edgecut.score.intervals import mcnemar
from edgecut.stem.camera import for_bytes

pytestmark = [pytest.mark.tensorflow, pytest.mark.real]

RESNET = CustomPreprocess(scale=1 / 128, offset=-1.0)
MODELS = [
    ("mobilenet_v1_imagenet.keras", "tf"), ("cifar10_resnet.h5", RESNET), ("visual_wake_words.h5", "raw"),
]  # fmt: skip


def photos(real, size, crops):
    """`crops` square pieces of each photo, the first the largest; bytes (n, size, size, 3)."""
    random, found = np.random.default_rng(0), []
    for file in sorted((real / "photos").iterdir()):
        picture = Image.open(file).convert("RGB")
        for crop in range(crops):
            side = min(picture.size) * (random.uniform(0.7, 1) if crop else 1)
            left, top = (random.uniform(0, extent - side) for extent in picture.size)
            box = (left, top, left + side, top + side)
            found.append(np.asarray(picture.crop(box).resize((size, size), Image.Resampling.BILINEAR)))
    return np.stack(found)


@pytest.mark.parametrize(("name", "preprocess"), MODELS, ids=str)
def test_raw_equals_normalized(real, name, preprocess):
    model = edgecut.load(real / name)
    pixels = photos(real, model.input_shape[1], 1)[:8]
    result = edgecut.stem(model, preprocess=preprocess, pixels="raw")
    expected = np.asarray(model(model_input(pixels, preprocess, "normalized")))
    assert np.abs(np.asarray(result.model(pixels.astype("float32"))) - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_nearest_fold_at_112_is_the_original_at_224_on_doubled_input(real, channels):
    model = edgecut.load(real / "mobilenet_v1_imagenet.keras")
    small = to_device_batch(photos(real, 112, 1), 112, 112, channels)
    result = edgecut.stem(model, channels, (112, 112), "tf", "nearest")
    fed = model_input(small, "tf", "normalized")
    doubled = np.repeat(fed, 3 // channels, axis=-1).repeat(2, axis=1).repeat(2, axis=2)
    expected = np.asarray(model(doubled))
    assert "nearest fold" in result.construction
    assert np.abs(np.asarray(result.model(fed)) - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(("name", "preprocess"), MODELS, ids=str)
def test_int8_on_raw_bytes_agrees_as_often_as_int8_on_normalized_floats(real, tmp_path, name, preprocess):
    """As often as so many pictures can tell: of those that one alone agrees on, about half are the other's."""
    model = edgecut.load(real / name)
    side = model.input_shape[1]
    if side == 32:
        with np.load(real / "cifar10.npz") as arrays:
            calibration, pixels = arrays["x_train"][:200].copy(), arrays["x_test"][:1000]
    else:
        pixels = photos(real, side, 8 if side == 224 else 30)
        calibration = pixels[::3].copy()
    calibration[0, 0, 0], calibration[0, -1, -1] = 0, 255
    reference = predict(model, pixels, lambda x: model_input(x, preprocess, "normalized")).argmax(axis=1)

    def written(body, inputs):
        folder = tmp_path / body.name
        write_saved_model(body, folder / "saved")
        (folder / "m.tflite").write_bytes(convert(folder / "saved", body, "int8", [inputs]))
        return FileRunner(folder / "m.tflite")

    plain = written(model, model_input(calibration, preprocess, "normalized"))
    raw = for_bytes(edgecut.stem(model, preprocess=preprocess, pixels="raw").model)
    raw.name = "raw"
    fed_bytes = written(raw, calibration.astype("float32"))
    assert (fed_bytes.inputs[0].scale, fed_bytes.inputs[0].zero_point) == (1.0, -128)
    by_floats = plain.predict(model_input(pixels, preprocess, "normalized")).argmax(axis=1)
    held = fed_bytes.predict_raw((pixels ^ 0x80).view("int8"))
    by_bytes = dequantize(held, fed_bytes.outputs[0]).argmax(axis=1)
    lost = int(np.sum((by_floats == reference) & (by_bytes != reference)))
    gained = int(np.sum((by_bytes == reference) & (by_floats != reference)))
    assert lost <= gained or mcnemar(lost, gained) >= 0.05
