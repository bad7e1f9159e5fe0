"""A model that arrays feed is searched like one of pictures: every cut, and what is built says its classes."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgecut
from edgecut.errors import DocumentError
from edgecut.records.recipe import CustomPreprocess, read_recipe
from edgecut.render.front import render_front
from tests.sensed import windows_net

pytestmark = pytest.mark.tensorflow


def test_every_cut_of_a_stack_of_convolutions_is_looked_at(tmp_path: Path) -> None:
    windows_net(tmp_path)
    out = tmp_path / "out"
    data = tmp_path / "windows.npz"
    front = edgecut.search(
        tmp_path / "windows.keras", data, ["nucleo-l4r5zi"], out=out, preprocess=CustomPreprocess(scale=0.001), top=1
    )  # fmt: skip
    assert {cut.cut for cut in front.cuts} >= {"conv_0", "conv_1", "conv_2", "mean"}
    assert {(cut.size, cut.channels) for cut in front.cuts} == {(None, None)}
    (recommendation,) = front.recommendations
    assert recommendation.accuracy > 0.9
    recipe = read_recipe(out / recommendation.recipe)
    assert (recipe.stem.size, recipe.stem.channels, recipe.cut.to) == (None, None, recommendation.cut)
    assert "arrays" in render_front(front)
    report = edgecut.build(recipe, ["nucleo-l4r5zi"], tmp_path / "dist")
    assert report.status == "meets"


def test_what_is_of_pictures_is_refused(tmp_path: Path) -> None:
    windows_net(tmp_path)
    with pytest.raises(DocumentError) as caught:
        edgecut.search(
            tmp_path / "windows.keras",
            tmp_path / "windows.npz",
            out=tmp_path / "out",
            sizes=((32, 32),),
            target="input",
        )
    assert caught.value.faults == (
        "search: data.target: 'input' is what the model itself puts out again, and a search puts heads on it",
        "search: --sizes, --channels: are of pictures, and arrays feed the model; leave them out",
    )
    assert not (tmp_path / "out").exists()
