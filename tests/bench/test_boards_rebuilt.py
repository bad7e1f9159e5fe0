"""The stored nets are what the definitions give today, and what a converter writes of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from edgecut.tflite.flatbuffer import read
from edgecut.tflite.x_cube_ai import weights_bytes
from tools.boards.__main__ import lowered, write_net
from tools.boards.graphs import features, nets, stored

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    "name", ["mobilenetv2 128x128x3 1000 alpha=0.35", "st_efficientnet_lc 128x128x3 5", "float32 ign 24x3x1 4"]
)
def test_stored_net_is_what_its_definition_gives(name: str) -> None:
    assert stored(nets()[name]) == stored(lowered(name))


@pytest.mark.parametrize("name", ["st_mnist 28x28x1 36", "miniresnet_v2 64x50x1 10 stacks=1"])
def test_converted_file_has_the_operators_and_weights_that_were_stored(name: str, tmp_path: Path) -> None:
    write_net(name, tmp_path / "net.tflite")
    graph = read(tmp_path / "net.tflite")
    # In any order: a pooling beside the main path runs earlier or later.
    assert Counter(features(graph)) == Counter(features(nets()[name]))
    assert weights_bytes(graph) == weights_bytes(nets()[name])
