"""Values, tags and images without labels are searched like classes, and what is built says them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import edgecut
from edgecut.errors import DocumentError
from edgecut.records.front import Front
from edgecut.records.recipe import Budget, read_recipe

pytestmark = pytest.mark.tensorflow

Small = tuple[Path, Path]


def images_with(small: Small, folder: Path, targets: Any) -> Path:
    """The small images with y_train and y_test of targets(labels), or without any."""
    with np.load(small[1]) as arrays:
        found = {f"x_{part}": arrays[f"x_{part}"] for part in ("train", "test")}
        if targets is not None:
            found |= {f"y_{part}": targets(arrays[f"y_{part}"]) for part in ("train", "test")}
    path = folder / "images.npz"
    np.savez(path, **found)
    return path


def searched(small: Small, images: Path, out: Path, **options: Any) -> Front:
    settings: dict[str, Any] = {"sizes": ((16, 16),), "precisions": ("float32",), "preprocess": "tf", "top": 1}
    return edgecut.search(small[0], images, ["raspberry-pi-4"], out=out, **{**settings, **options})


CASES = {
    # Which of three channels is brighter, as a number that a line through the features can say.
    "values": (lambda labels: np.stack([labels == 0, 10.0 * (labels == 1)], axis=1).astype("float64"), "r2", 0.8),
    "tags": (lambda labels: np.stack([labels == 0, labels > 0], axis=1).astype("int64"), "map", 0.9),
    "features": (None, "r2", 0.8),
}


@pytest.mark.parametrize("target", CASES)
def test_a_search_finds_what_the_labels_are_and_builds_what_says_them(
    small: Small, tmp_path: Path, target: str
) -> None:
    make, metric, least = CASES[target]
    if target == "features":
        # What the small model says in the end is nothing: its features are those of its middle.
        edgecut.cut(keras.models.load_model(small[0]), to="relu_1").save(tmp_path / "body.keras")
        small = (tmp_path / "body.keras", small[1])
    front = searched(small, images_with(small, tmp_path, make), tmp_path / "out")
    (recommendation,) = front.recommendations
    assert (front.metric, recommendation.accuracy > least) == (metric, True)
    recipe = read_recipe(tmp_path / "out" / recommendation.recipe)
    assert recipe.data.target == target
    assert recipe.head is not None
    assert (recipe.head.activation, recipe.head.classes) == ("logits", 16 if target == "features" else 2)


def test_a_build_of_a_recommended_regression_has_its_accuracy(small: Small, tmp_path: Path) -> None:
    images = images_with(small, tmp_path, CASES["values"][0])
    front = searched(small, images, tmp_path / "out", precisions=("int8",))
    recipe = read_recipe(tmp_path / "out" / front.recommendations[0].recipe)
    report = edgecut.build(recipe, ["raspberry-pi-4"], out=tmp_path / "dist")
    (found,) = [m.value for m in report.measurements if m.metric == "r2" and m.artifact.endswith(".tflite")]
    assert found is not None
    assert abs(found - front.recommendations[0].accuracy) < 0.05
    assert report.artifacts[0].size_bytes == next(p.size_bytes for p in front.front if p.recommended_for)


def test_a_limit_on_the_accuracy_drop_is_judged_on_what_was_built(small: Small, tmp_path: Path) -> None:
    front = searched(small, small[1], tmp_path / "out", precisions=("int8",), budget=Budget(accuracy_drop=0.5))
    point = next(p for p in front.front if p.recommended_for)
    (check,) = [c for c in point.devices[0].checks if c.metric == "accuracy_drop"]
    (drop,) = [m.value for m in front.measurements if m.metric == "accuracy_drop"]
    assert (check.value, check.state) == (drop, "meets")


def test_a_metric_that_does_not_answer_for_the_labels_is_refused(small: Small, tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        searched(small, small[1], tmp_path / "out", metric="map")
    assert str(caught.value) == (
        "search: --metric: map doesn't answer for images with classes (data.target); accuracy or auc does"
    )


def test_targets_of_another_shape_than_the_pictures_are_refused(small: Small, tmp_path: Path) -> None:
    images = images_with(small, tmp_path, lambda labels: labels[:-1].astype("float32"))
    with pytest.raises(DocumentError) as caught:
        searched(small, images, tmp_path / "out")
    assert str(caught.value) == (
        f"search: data.train: {images}: x_train holds 90 pictures and y_train 89 targets; make them equal"
    )
