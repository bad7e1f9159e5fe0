"""What a plan says of arrays for an .onnx file, whose channels come first; without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecut.errors import DocumentError
from edgecut.pipeline.model_faults import planned_arrays
from edgecut.pipeline.plan import plan
from edgecut.records.recipe import Recipe, make_recipe
from tests.source.onnx.graphs import one, save, weight

WINDOWS, Y = np.zeros((12, 64, 3), np.float32), np.arange(12) % 2


def _windows(folder: Path, length: int | str = 64) -> Path:
    """A convolution over windows [N, 3, 64] of a sensor, as torch has them, and scores."""
    nodes = [
        one("Conv", "window", "w", outputs=["c"], name="/conv/Conv", kernel_shape=[5], pads=[2, 2]),
        one("GlobalAveragePool", "c", outputs=["p"], name="/pool/GlobalAveragePool"),
        one("Flatten", "p", name="/Flatten", axis=1),
    ]
    return save(folder / "windows.onnx", nodes, {"window": ["N", 3, length]}, {"w": weight(2, 3, 5)})


def _recipe(model: Path, x: np.ndarray, source: dict[str, object] | None = None, **keys: object) -> Recipe:
    np.savez(model.parent / "data.npz", x_train=x, y_train=Y)
    tables = {"name": "net", "source": {"model": str(model), **(source or {})}}
    return make_recipe(tables, {"data.train": str(model.parent / "data.npz"), **keys}, where="r.toml")


@pytest.mark.parametrize(("length", "source"), [(64, {}), ("L", {"shape": [3, 64]})])
def test_arrays_have_their_channels_last_and_a_note_says_so(
    tmp_path: Path, length: int | str, source: dict[str, object]
) -> None:
    planned = plan(_recipe(_windows(tmp_path, length), WINDOWS, source))
    assert [note for note in planned.notes if "channels" in note] == [
        "samples for 'window' are (n, 64, 3), channels last as the built files take them; the .onnx file has (n, 3, 64)"
    ]
    assert planned.unchecked[0].startswith("outputs and operators, which only")


def test_arrays_in_the_order_of_the_file_are_refused_with_the_remedy(tmp_path: Path) -> None:
    model, first = _windows(tmp_path), WINDOWS.transpose(0, 2, 1)
    with pytest.raises(DocumentError) as caught:
        plan(_recipe(model, first))
    assert caught.value.faults == (
        f"net: data.train: {tmp_path / 'data.npz'}: x_train has the shape (12, 3, 64), and (n, 64, 3) is expected; "
        "the channels are its last axis here: np.moveaxis(x, 1, -1)",
    )
    plan(_recipe(model, np.moveaxis(first, 1, -1)))


def test_frames_of_one_channel_look_like_a_picture_unless_the_recipe_says_arrays(tmp_path: Path) -> None:
    nodes = [one("Conv", "frames", "w", outputs=["c"], name="/conv/Conv"), one("Flatten", "c", name="/F", axis=1)]
    model = save(tmp_path / "net.onnx", nodes, {"frames": ["N", 1, 49, 10]}, {"w": weight(2, 1, 49, 10)})
    frames = np.zeros((12, 49, 10, 1), np.float32)
    assert planned_arrays(_recipe(model, frames)) is None
    (taken,) = planned_arrays(_recipe(model, frames, **{"data.kind": "arrays"})) or ()
    assert (taken.name, taken.shape, taken.dtype) == ("frames", (49, 10, 1), "float32")


def test_pictures_for_a_model_that_takes_none_are_refused_by_the_plan(tmp_path: Path) -> None:
    pictures = np.zeros((12, 64, 3), np.uint8)
    with pytest.raises(DocumentError) as caught:
        plan(_recipe(_windows(tmp_path), pictures, **{"data.kind": "pictures"}))
    assert caught.value.faults == (
        "net: data.kind: the model takes [(None, 64, 3)], and pictures feed one (batch, height, width, 1, 3 or 4)",
    )


def test_inputs_that_nothing_reads_and_other_types_are_known(tmp_path: Path) -> None:
    nodes = [one("Gather", "table", "tokens", outputs=["e"], name="/e/Gather"), one("Mul", "e", "by", name="/Mul")]
    inputs = {"tokens": ["N", 7], "by": ["N", 7, 4], "idle": ["N", 2]}
    types = {"tokens": onnx.TensorProto.INT64}
    model = save(tmp_path / "net.onnx", nodes, inputs, {"table": weight(9, 4)}, types=types)
    arrays = planned_arrays(_recipe(model, WINDOWS)) or ()
    assert [(each.name, each.shape, each.dtype) for each in arrays] == [
        ("tokens", (7,), "int64"),
        ("by", (7, 4), "float32"),
    ]
