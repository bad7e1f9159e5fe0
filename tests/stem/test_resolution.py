"""Another resolution: exact where it is called exact, borders included; refused or measured where it isn't."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecut import stem
from edgecut.errors import StemError
from edgecut.graph import proof
from edgecut.images.preprocess import normalize
from tests.graph import models
from tests.stem.firsts import BUILDERS, MODES, bytes_like, conv_model, model_of, relative

pytestmark = pytest.mark.tensorflow

L = keras.layers
KERNELS = {
    "kernel": st.integers(1, 11), "stride": st.integers(1, 4),
    "padding": st.sampled_from(["same", "valid", "explicit"]),
    "height": st.integers(6, 13), "width": st.integers(6, 13), "mode": st.sampled_from(MODES),
    "gray": st.booleans(), "raw": st.booleans(),
}  # fmt: skip
EXPLICIT = ((1, 2), (3, 0))
LAW = settings(max_examples=50)


def fed(height, width, gray, raw, mode):
    """(what the device feeds, the same as the source takes it), float32."""
    pixels = bytes_like(height, width, 1 if gray else 3)
    if raw:
        return pixels.astype("float32"), normalize(np.repeat(pixels, 3, axis=-1) if gray else pixels, mode)
    values = (pixels / 127.5 - 1).astype("float32")
    return values, np.repeat(values, 3, axis=-1) if gray else values


def source_of(kernel, stride, padding, height, width):
    explicit = EXPLICIT if padding == "explicit" else None
    return conv_model(kernel, stride, "valid" if explicit else padding, height, width, explicit=explicit)


@LAW
@given(**KERNELS, factor=st.sampled_from([(1, 2), (2, 2), (2, 1), (3, 3), (4, 4), (2, 4)]))
def test_nearest_gives_what_the_source_gave_on_repeated_pixels(
    kernel, stride, padding, height, width, mode, gray, raw, factor
):
    """LAW: stem(model, nearest)(x) == model(x repeated), whatever the stride: folded, or with an upsampling."""
    height, width = max(height, kernel), max(width, kernel)
    size = height * factor[0], width * factor[1]
    model = source_of(kernel, stride, padding, *size)
    device, own = fed(height, width, gray, raw, mode)
    result = stem(
        model, channels=1 if gray else 3, size=(height, width), preprocess=mode, resolution="nearest",
        pixels="raw" if raw else "normalized",
    )  # fmt: skip
    expected = model(own.repeat(factor[0], axis=1).repeat(factor[1], axis=2))
    assert relative(result.model(device), expected) < 1e-5
    assert result.proof["exact"]
    divides = all(stride % by == 0 for by in factor)
    assert divides or "upsampling" in result.construction


@LAW
@given(**KERNELS, factor=st.sampled_from([(1, 2), (2, 2), (3, 3), (2, 4)]))
def test_average_gives_what_the_source_gave_on_averaged_pixels(
    kernel, stride, padding, height, width, mode, gray, raw, factor
):
    """LAW: stem(model, average)(x) == model(averages of x)."""
    height, width = max(height, kernel), max(width, kernel)
    model = source_of(kernel, stride, padding, height, width)
    size = height * factor[0], width * factor[1]
    device, own = fed(*size, gray, raw, mode)
    result = stem(
        model, channels=1 if gray else 3, size=size, preprocess=mode, resolution="average",
        pixels="raw" if raw else "normalized",
    )  # fmt: skip
    means = own.reshape(2, height, factor[0], width, factor[1], 3).mean(axis=(2, 4), dtype="float64").astype("float32")
    assert relative(result.model(device), model(means)) < 1e-5
    assert result.proof["exact"]


@LAW
@given(**KERNELS, device=st.tuples(st.integers(4, 26), st.integers(4, 26)))
def test_bilinear_gives_what_the_source_gave_on_interpolated_pixels(
    kernel, stride, padding, height, width, mode, gray, raw, device
):
    """LAW: stem(model, bilinear)(x) == model(x resized bilinearly), at any ratio down to a half."""
    size = max(height, kernel), max(width, kernel)
    device = min(device[0], 2 * size[0]), min(device[1], 2 * size[1])
    model = source_of(kernel, stride, padding, *size)
    seen, own = fed(*device, gray, raw, mode)
    result = stem(
        model, channels=1 if gray else 3, size=device, preprocess=mode, resolution="bilinear",
        pixels="raw" if raw else "normalized",
    )  # fmt: skip
    expected = model(keras.ops.image.resize(own, size, interpolation="bilinear"))
    assert relative(result.model(seen), expected) < 1e-5
    assert result.proof["exact"]


@LAW
@given(**KERNELS)
def test_reuse_gives_what_the_weights_give_at_that_size(kernel, stride, padding, height, width, mode, gray, raw):
    """LAW: stem(model, reuse)(x) == the source's own layers on x, for odd, even and rectangular sizes."""
    size = max(height, kernel), max(width, kernel)
    model = source_of(kernel, stride, padding, 24, 25)
    twin = source_of(kernel, stride, padding, *size)
    device, own = fed(*size, gray, raw, mode)
    result = stem(model, channels=1 if gray else 3, size=size, preprocess=mode, pixels="raw" if raw else "normalized")
    assert relative(result.model(device), twin(own)) < 1e-5
    assert result.proof["exact"]


@pytest.mark.parametrize("kind", sorted(BUILDERS))
@pytest.mark.parametrize("resolution", ["nearest", "bilinear", "average"])
def test_every_first_operator_takes_another_resolution(kind, resolution):
    model = model_of(kind, 12, 16)
    size = {"nearest": (6, 8), "bilinear": (9, 20), "average": (24, 32)}[resolution]
    gray = np.random.default_rng(0).uniform(-1, 1, (2, *size, 1)).astype("float32")
    whole = {
        "nearest": lambda: gray.repeat(2, 1).repeat(2, 2),
        "bilinear": lambda: np.asarray(keras.ops.image.resize(gray, (12, 16), interpolation="bilinear")),
        "average": lambda: gray.reshape(2, 12, 2, 16, 2, 1).mean(axis=(2, 4)),
    }[resolution]()
    result = stem(model, channels=1, size=size, resolution=resolution)
    assert relative(result.model(gray), model(np.repeat(whole, 3, axis=-1))) < 1e-5


@pytest.mark.parametrize(
    ("kernel", "stride", "folded"), [(3, 2, ((2, 2), (1, 1))), (7, 2, ((4, 4), (1, 1))), (4, 4, ((2, 2), (2, 2)))]
)
def test_a_nearest_fold_has_a_smaller_kernel_and_stride(kernel, stride, folded):
    result = stem(conv_model(kernel, stride, "same", 16, 16), size=(8, 8), resolution="nearest")
    conv = result.model.get_layer("conv")
    assert (tuple(conv.kernel_size), tuple(conv.strides)) == folded
    assert result.construction == "nearest fold"


def test_an_average_fold_is_taken_where_it_is_the_cheaper_way():
    """A 1x1 convolution of stride 4 leaves most pixels out, which averaging all of them would not."""
    result = stem(conv_model(1, 4, "same", 16, 16), size=(32, 32), resolution="average")
    assert result.construction == "average fold"
    assert tuple(result.model.get_layer("conv").strides) == (8, 8)
    assert stem(conv_model(3, 1, "same", 16, 16), size=(32, 32), resolution="average").construction == "average pooling"


def test_stride_has_as_many_outputs_and_carries_its_measured_error():
    model = conv_model(3, 2, "same", 16, 20)
    images = bytes_like(32, 40, 3)
    result = stem(model, size=(8, 10), preprocess="tf", resolution="stride", data=images)
    assert result.model.output_shape == model.output_shape
    assert np.array_equal(result.model.get_layer("conv").kernel, model.get_layer("conv").kernel)
    assert result.construction == "stride"
    assert not result.proof["exact"]
    assert 0 < result.proof["image_error"] < 2


def dense_behind(height, width):
    x = inputs = keras.Input((height, width, 3), name="image")
    x = L.Conv2D(5, 3, strides=2, padding="same", activation="relu", name="conv")(x)
    x = L.Dense(4, name="dense")(L.Dropout(0.2, name="drop")(L.Flatten(name="flat")(x)))
    return models.settle(keras.Model(inputs, L.Softmax(name="softmax")(x)))


@pytest.mark.parametrize("size", [(8, 8), (16, 24), (40, 20), (5, 7)])
def test_a_dense_layer_behind_flatten_is_resized_by_the_adjoint(size):
    model = dense_behind(16, 16)
    result = stem(model, size=size)
    x = np.random.default_rng(0).uniform(-1, 1, (2, *size, 3)).astype("float32")
    conv = model.get_layer("conv")
    maps = keras.ops.image.resize(conv(x), (8, 8), interpolation="bilinear", antialias=True)
    expected = keras.ops.softmax(model.get_layer("dense")(keras.ops.reshape(maps, (2, -1))))
    assert relative(result.model(x), expected) < 1e-5
    assert result.proof["exact"]
    assert [layer.name for layer in result.model.layers] == ["image", "conv", "flat", "dense", "softmax"]


def test_a_dense_layer_that_sees_the_picture_is_resized_by_the_adjoint():
    model = model_of("dense", 8, 8)
    result = stem(model, size=(4, 4), channels=1)
    gray = np.random.default_rng(0).uniform(-1, 1, (2, 4, 4, 1)).astype("float32")
    whole = keras.ops.image.resize(gray, (8, 8), interpolation="bilinear", antialias=True)
    assert relative(result.model(gray), model(np.repeat(whole, 3, axis=-1))) < 1e-5
    assert result.construction == "kernel sum, adjoint, reuse"


@pytest.mark.parametrize("values_bytes", [proof.VALUES_BYTES, 1])  # all pictures at once, and one after the other
def test_a_map_that_is_dead_at_the_new_size_is_named(monkeypatch: pytest.MonkeyPatch, values_bytes: int) -> None:
    monkeypatch.setattr(proof, "VALUES_BYTES", values_bytes)
    x = inputs = keras.Input((32, 32, 3), name="image")
    for k in range(4):
        x = L.Conv2D(6, 3, strides=2, padding="same", name=f"conv{k}")(x)
        x = L.ReLU(name=f"relu{k}")(x)
    model = models.settle(keras.Model(inputs, x))
    model.get_layer("conv2").set_weights([model.get_layer("conv2").kernel, np.full(6, 9.0, "float32")])
    kernel = np.zeros((3, 3, 6, 6), "float32")
    kernel[2, 2] = 1.0  # sees the lower right neighbour alone, which a map of one pixel doesn't have
    model.get_layer("conv3").set_weights([kernel, np.ones(6, "float32")])
    result = stem(model, size=(8, 8), preprocess="tf", data=bytes_like(32, 32, 3))
    assert result.notes == (
        "at 8x8 the map of 'conv3' (1x1) is dead: 0 of its 6 channels vary on 2 images, 6 at the source's size; cut "
        "before it, or feed a larger picture",
    )
    assert stem(model, size=(64, 64), preprocess="tf", data=bytes_like(32, 32, 3)).notes == ()


def test_maps_of_another_shape_are_not_computed_to_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = keras.Input((32, 32, 3), name="image")
    model = keras.Model(inputs, L.Conv2D(2, 3, name="conv")(inputs))
    monkeypatch.setattr("edgecut.stem.proof.first_outputs", None)
    assert "images" not in stem(model, size=(8, 8), preprocess="tf", data=bytes_like(32, 32, 3)).proof


def test_what_gray_loses_of_the_sources_answers_is_said():
    """The model names the channel that is brightest, which a gray picture doesn't tell."""
    inputs = keras.Input((8, 8, 3), name="image")
    conv = L.Conv2D(3, 1, name="conv")
    model = keras.Model(inputs, L.GlobalAveragePooling2D(name="pool")(conv(inputs)))
    conv.set_weights([np.eye(3, dtype="float32")[None, None], np.zeros(3, "float32")])
    pictures = np.zeros((6, 8, 8, 3), "uint8")
    for k in range(6):
        pictures[k, ..., k % 3] = 200
    gray = stem(model, 1, preprocess="tf", data=pictures)
    assert gray.proof["exact"]
    assert (gray.proof["images"], gray.proof["top1_agreement"]) == (6, pytest.approx(1 / 3))
    assert gray.notes == (
        "in gray 6 images keep 33% of the source's answers in colour at its own size; set stem.resolution = 'fit' "
        "(--resolution fit) to fit the stem to its responses there; a head learns from what the device feeds",
    )
    colour = stem(model, preprocess="tf", pixels="raw", data=pictures)
    assert (colour.proof["top1_agreement"], colour.notes) == (1.0, ())


def _stripes_model():
    """The one of two answers: stripes of one pixel, or of two, whatever their contrast."""
    inputs = keras.Input((8, 8, 1), name="image")
    conv, scores = L.Conv2D(4, (1, 3), activation="relu", name="conv"), L.Dense(2, use_bias=False, name="scores")
    model = keras.Model(inputs, scores(L.GlobalAveragePooling2D(name="pool")(conv(inputs))))
    taps = np.array([[1, -1, 0], [-1, 1, 0], [1, 0, -1], [-1, 0, 1]], "float32")
    conv.set_weights([taps.T[None, :, None], np.zeros(4, "float32")])
    scores.set_weights([np.array([[1, 0], [1, 0], [0, 1], [0, 1]], "float32")])
    return model


def _stripes(widths):
    columns = [np.where(np.arange(16) // width % 2, 200, 20) for width in widths]
    return np.array([np.tile(column, (16, 1)) for column in columns], "uint8")[..., None]


def test_a_resolution_that_keeps_more_of_the_answers_is_named_with_its_figures():
    result = stem(_stripes_model(), size=(16, 16), pixels="raw", data=_stripes([2, 4] * 4))
    assert result.notes == (
        "at another size 8 images keep 50% of the source's answers in colour at its own size; set stem.resolution = "
        "'fit' (--resolution fit) to fit the stem to its responses there; a head learns from what the device feeds",
        "resolution 'average' keeps 100% of the source's answers on these images, for 584 MACs against 2.7 k MACs; set "
        "stem.resolution = 'average' (--resolution average)",
    )
    best = stem(_stripes_model(), size=(16, 16), pixels="raw", resolution="average", data=_stripes([2, 4] * 4))
    assert (best.proof["top1_agreement"], best.cost["macs"]["after"], best.notes) == (1.0, 584, ())


def test_a_fit_that_another_resolution_beats_says_so():
    """One filter can't tell the two kinds of stripes apart."""
    pictures = _stripes([2, 4] * 20)
    options = {"size": (16, 16), "pixels": "raw", "data": pictures}
    result = stem(_stripes_model(), resolution="fit", kernel=(1, 6), filters=1, **options)
    assert result.proof["top1_agreement"] < 0.9
    assert result.notes[-1].startswith(
        "resolution 'average' keeps 100% of the source's answers on these images, for 584 MACs"
    )
    assert stem(_stripes_model(), resolution="average", **options).notes == ()


def test_the_features_of_a_cut_model_are_no_answers():
    model = _stripes_model()
    body = keras.Model(model.inputs, model.get_layer("pool").output)
    result = stem(body, size=(16, 16), pixels="raw", data=_stripes([2, 4]))
    assert "top1_agreement" not in result.proof
    assert (result.proof["images"], result.notes) == (2, ())


def test_reuse_without_images_says_what_its_proof_leaves_open():
    model = _stripes_model()
    assert stem(model, size=(16, 12)).notes == (
        "reuse runs the source's own weights at 16x12: the proof doesn't say what that keeps of its answers at 8x8; "
        "give images (data) for that",
    )
    assert stem(model, size=(8, 8), pixels="raw").notes == stem(model, size=(16, 16), resolution="average").notes == ()


def refusal(model, **options):
    with pytest.raises(StemError) as caught:
        stem(model, **options)
    return str(caught.value)


def test_sizes_without_a_whole_ratio_are_refused():
    model = conv_model(3, 2, "same", 16, 16)
    assert refusal(model, size=(6, 8), resolution="nearest") == (
        "stem: resolution 'nearest': the source's height 16 and the device's 6 have no whole ratio; use a height such "
        "as 8, or resolution 'bilinear' or 'reuse'"
    )
    assert refusal(model, size=(6, 8), resolution="stride").endswith("or resolution 'fit' or 'reuse'")
    assert refusal(conv_model(3, 2, "same", 37, 16), size=(12, 8), resolution="nearest") == (
        "stem: resolution 'nearest': the source's height 37 and the device's 12 have no whole ratio; use resolution "
        "'bilinear' or 'reuse'"
    )


def test_a_resized_picture_does_not_make_the_layers_behind_it_train():
    """keras.layers.Resizing would: the model is called without `training`, as users do."""
    model = conv_model(3, 2, "same", 16, 16)
    result = stem(model, size=(12, 10), resolution="bilinear")
    one = np.random.default_rng(0).uniform(-1, 1, (1, 12, 10, 3)).astype("float32")
    pair = np.concatenate([one, 5 * one])
    assert relative(result.model(pair)[:1], result.model(one)) < 1e-5


def test_interpolation_that_would_leave_pixels_out_is_refused():
    assert refusal(conv_model(3, 2, "same", 16, 16), size=(32, 40), resolution="bilinear") == (
        "stem: resolution 'bilinear': of the device's width 40 the source's 16 would leave pixels out; use at most 32, "
        "or resolution 'average' with a multiple of 16"
    )


def test_a_stride_that_does_not_divide_is_refused():
    assert refusal(conv_model(3, 1, "same", 16, 16), size=(8, 8), resolution="stride") == (
        "stem: resolution 'stride' needs a first convolution whose stride is a multiple of (2, 2); use 'nearest', "
        "'fit' or 'reuse'"
    )


def test_a_source_of_open_size_has_no_other_resolution_than_reuse():
    x = keras.Input((None, None, 3), name="image")
    model = models.settle(keras.Model(x, L.Conv2D(2, 3, padding="same", name="conv")(x)))
    for mode in ("nearest", "bilinear"):
        assert refusal(model, size=(8, 8), resolution=mode) == (
            f"stem: resolution {mode!r} needs a source of fixed size, and its height is open; use 'reuse'"
        )
    assert stem(model, size=(8, 9), channels=1, preprocess="caffe", pixels="raw").proof["exact"]
    assert stem(model, channels=1, preprocess="tf", pixels="raw").model.input_shape == (None, None, None, 1)


def test_too_small_a_picture_names_the_layer_that_collapses():
    x = inputs = keras.Input((16, 16, 3), name="image")
    x = L.Conv2D(2, 3, strides=2, padding="same", name="conv")(x)
    model = keras.Model(inputs, L.AveragePooling2D(7, name="pool")(x))
    remedy = "feed a larger size, or let the layers run at their own (resolution 'nearest', 'bilinear' or 'fit')"
    assert refusal(model, size=(8, 8)) == (
        "stem: size 8x8: layer 'pool' (AveragePooling2D) can't take (None, 4, 4, 2): Computed output size would be "
        f"zero or negative; {remedy}"
    )
    assert refusal(conv_model(5, 1, "valid", 16, 16), size=(4, 4), channels=1) == (
        "stem: size 4x4: layer 'conv' (Conv2D) can't take (None, 4, 4, 1): Computed output size would be zero or "
        f"negative; {remedy}"
    )


def test_a_resolution_that_is_none_is_refused():
    model = conv_model(3, 1, "same", 8, 8)
    assert refusal(model, resolution="bicubic") == (
        "stem: resolution is 'bicubic'; one of 'reuse', 'stride', 'nearest', 'bilinear', 'average', 'fit' is expected"
    )
    assert refusal(model, kernel=5) == "stem: kernel is for a fitted stem; set resolution = 'fit'"
    assert refusal(model, size=(0, 4)) == "stem: size is (0, 4); height and width are at least 1"
