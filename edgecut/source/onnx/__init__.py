"""An .onnx file to a Keras model that is proven equal: channels last, plain layers, trainable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgecut.records.progress import SILENT, Progress
from edgecut.source.onnx.survey import Refused, Survey, survey

if TYPE_CHECKING:
    import numpy as np

    from edgecut.source.onnx.conversion import Imported
    from edgecut.source.onnx.proof import ImportProof

__all__ = ["Refused", "Survey", "convert", "prove", "survey"]


def convert(
    path: str | Path,
    *,
    outputs: Sequence[str] | None = None,
    dequantize: bool = False,
    shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    progress: Progress = SILENT,
) -> Imported:
    """The Keras model of an .onnx file; conversion.convert says more. Imports TensorFlow."""
    from edgecut.graph.quiet import import_keras_quietly
    from edgecut.sandbox.child import the_child

    the_child()  # it gets ready while TensorFlow loads
    import_keras_quietly()
    from edgecut.source.onnx import conversion

    return conversion.convert(path, outputs=outputs, dequantize=dequantize, shape=shape, progress=progress)


def prove(
    imported: Imported, path: str | Path, inputs: Sequence[np.ndarray] | Mapping[str, np.ndarray] | None = None
) -> ImportProof:
    """How near an imported model comes to its file; proof.prove says more."""
    from edgecut.source.onnx import proof

    return proof.prove(imported, path, inputs)
