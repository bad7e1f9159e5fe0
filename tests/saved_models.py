"""Saved models written by hand: their configuration in a .keras archive, without weights and without Keras."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any


def layer(kind: str, name: str, *inputs: str, **config: Any) -> dict[str, Any]:
    nodes = [{"args": [{"config": {"keras_history": [i, 0, 0]}} for i in inputs], "kwargs": {}}] if inputs else []
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def functional(layers: list[dict[str, Any]], *outputs: str) -> dict[str, Any]:
    """The configuration of a functional model, whose outputs are by default its last layer's."""
    ends = [[name, 0, 0] for name in outputs or (layers[-1]["name"],)]
    return {"class_name": "Functional", "config": {"layers": layers, "output_layers": ends}}


def classifier(size: int | None = 8, classes: int = 7) -> dict[str, Any]:
    """Pictures to classes: image, conv, pool, scores."""
    return functional([
        layer("InputLayer", "image", batch_shape=[None, size, size, 3]),
        layer("Conv2D", "conv", "image", filters=4, kernel_size=[3, 3]),
        layer("GlobalAveragePooling2D", "pool", "conv"),
        layer("Dense", "scores", "pool", units=classes, activation="softmax"),
    ])  # fmt: skip


def saved(path: Path, config: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    return path
