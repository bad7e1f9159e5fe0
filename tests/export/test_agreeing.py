"""What was written is run against its source, and what computes something else isn't written."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
import pytest

from edgecut import export
from edgecut.errors import ExportError
from edgecut.export import agreeing, tflite
from edgecut.records.artifact import TensorSpec
from edgecut.records.recipe import Format

pytestmark = pytest.mark.tensorflow

L = keras.layers


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_what_the_converter_gets_wrong_is_not_written(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tflite, "traced_for_tflite", nullcontext)
    image = keras.Input((4, 4, 2))
    model = keras.Model(image, L.Conv2DTranspose(3, 2, strides=2, use_bias=False)(image) + 0.5)
    with pytest.raises(ExportError) as caught:
        export(model, "tflite", precision, path=tmp_path / "m.tflite")
    begin = f"export: nothing is written, since the {precision} tflite file computes something else than its source: "
    assert str(caught.value).startswith(f"{begin}output 'add")
    assert not (tmp_path / "m.tflite").exists()


FLOAT = TensorSpec(name="y", shape=(1, 2), dtype="float32")
INT8 = TensorSpec(name="y", shape=(1, 2), dtype="int8", scale=0.1, zero_point=0)
SOURCE = np.array([[-4.0, 2.0], [0.0, np.inf]], "float32")


@pytest.mark.parametrize(
    ("own", "spec", "precision", "fault"),
    [
        (SOURCE, FLOAT, "float32", ""),
        (SOURCE + 0.003, FLOAT, "float32", ""),
        (SOURCE + 1, FLOAT, "float32", "is off by 1 on 2 inputs, where 0.004 is let pass and 4 is its largest"),
        (SOURCE * np.nan, FLOAT, "int8", "isn't finite on 2 inputs"),
        (SOURCE[:1], FLOAT, "float32", "has the shape (2,), where (2,) was expected"),
        # Poor, and judged on images.
        (SOURCE - 7, INT8, "int8", ""),
        (np.array([[-0.1, 0], [0, 0]]), INT8, "int8", ""),
        (SOURCE - 26, INT8, "int8", "is off by 26 on 2 inputs, where 25.5 is let pass and 4 is its largest"),
        (SOURCE - 9, FLOAT, "dynamic", "is off by 9 on 2 inputs, where 8 is let pass and 4 is its largest"),
        (np.array([[1, 0], [1, 0]]), INT8, "int8", "is the same for all of 2 inputs, where its source's varies by 4"),
    ],
)
def test_only_what_no_rounding_does_is_a_fault(own: np.ndarray, spec: TensorSpec, precision: str, fault: str) -> None:
    with np.errstate(invalid="ignore"):
        assert agreeing._fault(own, SOURCE, spec, precision) == fault


def test_a_quantized_output_may_stay_where_its_source_varies_by_less_than_it_can_show() -> None:
    source = np.array([[0.1], [1.6]])
    assert agreeing._fault(np.zeros((2, 1)), source.astype("float32"), INT8, "int8") == ""


def test_the_layer_that_makes_infinity_is_named(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((4,), name="image")
    grown = L.Activation("exponential", name="grown")(L.Dense(3, name="hidden")(image))
    model = keras.Model(image, L.Dense(2, name="scores")(grown))
    broken = keras.models.clone_model(model)
    broken.set_weights(model.get_weights())
    broken.get_layer("hidden").kernel.assign(1e4 * model.get_layer("hidden").kernel)
    tflite.write_saved_model(broken, tmp_path / "broken")
    content = tflite.convert(tmp_path / "broken", broken, "float32")
    with pytest.raises(ExportError) as caught:
        agreeing.check_against_model(content, model, "float32")
    assert str(caught.value) == (
        "export: nothing is written, since the float32 tflite file computes something else than its source: output "
        "'scores' isn't finite on 4 inputs, from EXP (layer 'grown') on; cut before it"
    )


@pytest.mark.parametrize(
    "rows",
    [
        lambda x: x - keras.ops.mean(x, axis=0, keepdims=True),
        lambda x: keras.ops.reshape(x, (1, 4)),
        lambda x: keras.ops.sum(x),
    ],
    ids=["mixed", "one at a time", "no rows"],
)
def test_a_file_is_held_against_its_model_row_by_row_where_rows_cant_be_run_at_once(
    rows: Callable[[keras.KerasTensor], keras.KerasTensor], tmp_path: Path
) -> None:
    values = keras.Input((4,))
    model = keras.Model(values, rows(L.Dense(4, kernel_initializer="ones")(values)))
    assert export(model, "tflite", "float32", path=tmp_path / "m.tflite").inputs[0].shape == (1, 4)


def test_rows_are_run_at_once_where_they_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreeing, "_answers_by_row", None)
    values = keras.Input((4,))
    model = keras.Model(values, L.Dense(4)(values))
    assert export(model, "tflite", "float32", path=tmp_path / "m.tflite").inputs[0].shape == (1, 4)


def test_several_inputs_and_outputs_of_any_dtype_are_run(tmp_path: Path) -> None:
    words, image = keras.Input((5,), dtype="int32", name="words"), keras.Input((4, 4, 2), name="image")
    x = L.Embedding(2, 3)(words)
    model = keras.Model([words, image], [L.Flatten()(x), L.Conv2D(2, 3)(image)])
    for format in ("tflite", "onnx"):
        artifact = export(model, format, "float32", path=tmp_path / f"m.{format}")
        assert [spec.dtype for spec in artifact.inputs] == ["int32", "float32"]


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_integer_inputs_are_calibrated_as_integers(format: Format, tmp_path: Path) -> None:
    """Indices and bytes stay what they are; a float input beside them is quantized."""
    words, pixels = keras.Input((5,), dtype="int32"), keras.Input((4, 4, 2), dtype="uint8")
    values = keras.Input((3,))
    x = L.Concatenate()([L.Flatten()(L.Embedding(9, 3)(words)), L.Flatten()(L.Rescaling(1 / 255)(pixels)), values])
    model = keras.Model([words, pixels, values], L.Dense(2)(x))
    random = np.random.default_rng(0)
    rows = [random.integers(0, 9, (8, 5)), random.integers(0, 256, (8, 4, 4, 2)), random.uniform(-1, 1, (8, 3))]
    artifact = export(model, format, "int8", rows, tmp_path / f"m.{format}")
    assert [spec.dtype for spec in artifact.inputs] == ["int32", "uint8", "int8"]
