"""The command that is printed behind a model that was written."""

from __future__ import annotations

import json
import shlex
import zipfile
from pathlib import Path

import pytest

from edgecut.cli.files import export_hint
from edgecut.cli.flags import toml_value
from edgecut.cli.request import read_source
from edgecut.records.recipe import CustomPreprocess, Data, Kind, Recipe, Source


def _saved(path: Path, shape: tuple[int, ...]) -> str:
    """A .keras file's configuration of one input and one Dense, as far as names and shapes are read from it."""
    layers = [
        {"class_name": "InputLayer", "config": {"name": "window", "batch_shape": [None, *shape], "dtype": "float32"}},
        {"class_name": "Dense", "config": {"name": "scores", "units": 3}},
    ]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": layers}}))
    return str(path)


@pytest.mark.parametrize(
    ("shape", "kind", "train", "flags", "unsaid"),
    [
        ((256, 3), None, "vib.npz", "--data vib.npz", ""),
        ((256, 3), None, None, "--data ARRAYS.npz", "ARRAYS.npz"),
        ((49, 10, 1), "arrays", "words.npz", "--kind arrays --data words.npz", ""),
        ((49, 10, 1), None, "photos", "--preprocess MODE --data photos", "MODE"),
        ((49, 10, 1), None, None, "--preprocess MODE --data IMAGES", "MODE and IMAGES"),
    ],
)
def test_the_next_export_takes_what_feeds_the_model(
    tmp_path: Path, shape: tuple[int, ...], kind: Kind | None, train: str | None, flags: str, unsaid: str
) -> None:
    """What is printed runs as it stands: float32 where int8 takes what nobody said."""
    model = _saved(tmp_path / "m.keras", shape)
    recipe = Recipe(source=Source(model=model), data=Data(kind=kind, train=train))
    begin = "next: edgecut export out.keras --precision float32 -o out.tflite; for int8, with your own " + unsaid + ": "
    int8 = f"edgecut export out.keras {flags} -o out.tflite"
    assert export_hint(Path("out.keras"), recipe) == (begin if unsaid else "next: ") + int8


def test_a_scaling_of_ones_own_is_in_the_next_export(tmp_path: Path) -> None:
    scaling = {"scale": 0.5, "offset": -1.0}
    source = Source(model=_saved(tmp_path / "m.keras", (8, 8, 3)), preprocess=CustomPreprocess.model_validate(scaling))
    hint = export_hint(Path("out.keras"), Recipe(source=source, data=Data(train="my photos")))
    words = shlex.split(hint)
    assert words[words.index("--data") + 1] == "my photos"
    read = read_source("out.keras", {"source.preprocess": toml_value(words[words.index("--preprocess") + 1])})
    assert read.source.preprocess == source.preprocess
