"""Names of layers: those that Keras makes up, those that a class gives, and free ones."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import keras

from edgecut.graph.keras_private import global_state, to_snake_case


@contextmanager
def counted_anew() -> Iterator[None]:
    """While it lasts, the names that Keras makes up are counted as in a new process; then as before.

    The names go into the files of a model, whose bytes must not depend on what the process did earlier.
    """
    before = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", defaultdict(int))
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", before)


def attribute_names(model: keras.Model) -> dict[int, str]:
    """The name that the class gives to each layer it holds, by the layer's id: "conv1", "blocks.0"."""
    found: dict[int, str] = {}
    for name, value in vars(model).items():
        if not name.startswith("_"):
            for path, layer in _layers_in(name, value):
                found.setdefault(id(layer), path)
    return found


def has_automatic_name(operation: keras.Operation) -> bool:
    """Whether Keras named the operation: such a name differs from process to process."""
    return re.fullmatch(rf"{re.escape(automatic_name(operation))}(_\d+)?", operation.name) is not None


def automatic_name(operation: keras.Operation) -> str:
    """The name that Keras gives to the first operation of its kind."""
    return str(to_snake_case(type(operation).__name__))


def unique_name(wanted: str, taken: set[str]) -> str:
    """`wanted`, or with the first "_k" that makes it unlike every taken name."""
    name, count = wanted, 0
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    return name


def _layers_in(path: str, value: object) -> Iterator[tuple[str, keras.Layer]]:
    if isinstance(value, keras.Layer):
        yield path, value
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _layers_in(f"{path}.{index}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _layers_in(f"{path}.{key}", item)
