"""A Git LFS pointer in the place of a file is told as one, whatever it stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.errors import EdgecutError
from edgecut.graph.saved import kind_of
from edgecut.images.decode import decode
from edgecut.images.listing import read_class_names
from edgecut.images.npz import read_headers
from edgecut.records.document import read_toml
from edgecut.runtime.specs import read_graph

SAID = "is a Git LFS pointer, which stands for a file that wasn't fetched; run `git lfs pull` where it is"


@pytest.mark.parametrize(
    ("name", "read", "start"),
    [
        ("m.keras", lambda path: kind_of(str(path)), "{}: "),
        ("m.h5", lambda path: kind_of(str(path)), "{}: "),
        ("m.tflite", read_graph, "{}: "),
        ("m.onnx", read_graph, "{}: "),
        ("x.png", lambda path: decode(path, "data.train"), "data.train: {} "),
        ("d.npz", lambda path: read_headers(path, "data.train"), "data.train: {} "),
        ("labels.txt", lambda path: read_class_names(path, "data.labels"), "data.labels: {} "),
        ("recipe.toml", read_toml, "{}: "),
    ],
)
def test_a_pointer_is_told(tmp_path: Path, name: str, read: object, start: str) -> None:
    path = tmp_path / name
    path.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:" + 64 * "a" + "\nsize 12345\n", encoding="utf-8"
    )
    with pytest.raises(EdgecutError) as caught:
        read(path)  # type: ignore[operator]
    assert str(caught.value) == start.format(path) + SAID
    assert caught.value.exit_code == 2
