"""TensorFlow's converter for a SavedModel, which is read once.

Public names of TFLiteConverter load it three times as Keras or TensorFlow objects, to list its signatures and to quote
source lines in errors: two thirds of a conversion's time for MobileNetV1. The names here are TensorFlow 2.21's own;
tests/export/test_converter.py holds their files equal to the public converter's, but for the ranges (ranges.py).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.lite.python import lite

from edgecut.export.ranges import keeps_state, with_ranges

SIGNATURE = "serving_default"


def read_graph_def(saved_model: Path) -> tf.compat.v1.GraphDef:
    """The graph of a SavedModel, whose functions are in its library."""
    content = saved_model_pb2.SavedModel()
    content.ParseFromString((saved_model / "saved_model.pb").read_bytes())
    return content.meta_graphs[0].graph_def


class Converter(lite.TFLiteSavedModelConverterV2):
    """A converter whose integer file is quantized by the ranges in a float file, which samples set once."""

    samples: Mapping[str, np.ndarray] = MappingProxyType({})
    """What sets the ranges of an integer file: arrays (n, 1, ...) by the signature's names, in its dtypes."""
    ranged = b""
    """The float file with the ranges, once the converter has run."""

    def _quantize(self, result: bytes, *settings: Any) -> bytes:
        if not self.samples:
            return super()._quantize(result, *settings)
        if not self.ranged:
            self._experimental_calibrate_only = True
            # One is enough for where ranges are written, all where they can't be read from outside.
            laid_out = self._quantized(result, settings, None if keeps_state(result) else 1)
            self._experimental_calibrate_only = False
            self.ranged = with_ranges(laid_out, self.samples)
        return self._quantized(self.ranged, settings, 0)

    def _quantized(self, floats: bytes, settings: tuple[Any, ...], count: int | None) -> bytes:
        """What TensorFlow makes of a float file and so many samples, all for None; for 0 the file's ranges stay."""
        columns = [x[:count] for x in self.samples.values()]
        rows = [dict(zip(self.samples, row, strict=True)) for row in zip(*columns, strict=True)]
        self.representative_dataset = lambda: iter(rows)
        content: bytes = super()._quantize(floats, *settings)
        return content

    def _optimize_tflite_model(self, model: bytes, *settings: Any, **more: Any) -> bytes:
        self._last = functools.partial(super()._optimize_tflite_model, model, *settings, **more)
        return self._last()

    def again(self, ranged: bytes) -> bytes:
        """The int8 file of a float file with ranges, which is self.ranged with other numbers in it."""
        self.ranged = ranged
        return self._convert_and_export_metrics(lambda own: own._last())


def converter_of(saved_model: Path, samples: Mapping[str, np.ndarray]) -> Converter:
    """A converter of a SavedModel's one signature, to be set up as any TFLiteConverter.

    samples: as Converter has them; none for a file in float.
    """
    lite.TFLiteConverterBase._set_original_model_type(lite.conversion_metadata_fb.ModelType.TF_SAVED_MODEL)
    converter = Converter(str(saved_model), {tf.saved_model.SERVING}, [SIGNATURE])
    converter.samples = samples
    if samples:
        converter.representative_dataset = lambda: iter(())  # TensorFlow wants one before _quantized says of what
    return converter


def run_converter(converter: Converter, graph: tf.compat.v1.GraphDef) -> bytes:
    """What converter.convert() gives; graph: of its SavedModel. Raises what that raises."""
    content: bytes = converter._convert_and_export_metrics(lambda own: own._convert_from_saved_model(graph))
    return content
