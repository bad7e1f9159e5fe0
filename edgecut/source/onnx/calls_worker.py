"""The calls of the Keras model that an .onnx file becomes, told by a child process without TensorFlow.

Keras makes the layers with its NumPy backend. That has JAX compute convolutions; here nothing is computed but shapes,
so that JAX needn't be here: whatever Keras's modules take from it on import is a name without a meaning.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TypedDict

from edgecut.errors import EdgecutError
from edgecut.graph.flow_json import to_json
from edgecut.graph.layer_call import UnsaidError
from edgecut.records.json_value import JsonObject
from edgecut.sandbox.job import Timed, serve


class Job(Timed):
    """What main() is told. shape: of the inputs where the file leaves it open. dequantize: take a quantized file."""

    shape: list[int] | dict[str, list[int]] | None
    dequantize: bool


class Answer(TypedDict):
    """flow: the calls, {} where they can't be told. unsaid: why, "" where the import refuses the file, which it says.

    nodes: by layer, the file's nodes. notes: of the import.
    """

    flow: JsonObject
    unsaid: str
    nodes: dict[str, list[str]]
    notes: list[str]


def main() -> None:
    """Do the job on stdin."""
    os.environ["KERAS_BACKEND"] = "numpy"
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # Keras takes it where it can
    sys.meta_path.insert(0, _WithoutJax())
    serve(_answer)


def _answer(job: Job) -> Answer:
    from edgecut.graph.live import dataflow
    from edgecut.source.onnx.conversion import convert

    try:
        imported = convert(job["path"], dequantize=job["dequantize"], shape=job["shape"])
        flow = to_json(dataflow(imported.model))
    except (EdgecutError, UnsaidError) as exc:
        unsaid = str(exc) if isinstance(exc, UnsaidError) else ""
        return {"flow": {}, "unsaid": unsaid, "nodes": {}, "notes": []}
    nodes = {name: list(names) for name, names in imported.node_names.items()}
    return {"flow": flow, "unsaid": "", "nodes": nodes, "notes": list(imported.notes)}


class _Name:
    """What nothing calls but a decorator's place, which gives the function back."""

    def __call__(self, *args: object, **_options: object) -> object:
        return args[0] if len(args) == 1 and callable(args[0]) else _Name()

    def __getattr__(self, name: str) -> _Name:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Name()

    def __mro_entries__(self, _bases: Sequence[object]) -> tuple[type, ...]:
        return ()


class _Names(ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> _Name:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Name()


class _WithoutJax(MetaPathFinder, Loader):
    """Finds JAX's modules where there are none."""

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> ModuleSpec | None:
        """A module of names for all that is JAX's."""
        return ModuleSpec(fullname, self, is_package=True) if fullname.partition(".")[0] == "jax" else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """It."""
        return _Names(spec.name)

    def exec_module(self, _module: ModuleType) -> None:
        """Nothing."""


if __name__ == "__main__":
    main()
