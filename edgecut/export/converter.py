"""TensorFlow's converter for a SavedModel, which is read once.

Public names of TFLiteConverter load it three times as Keras or TensorFlow objects, to list its signatures and to quote
source lines in errors: two thirds of a conversion's time for MobileNetV1. The names here are TensorFlow 2.21's own;
tests/export/test_converter.py holds their files equal to the public converter's.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.lite.python import lite
from tensorflow.lite.python.convert import mlir_quantize

SIGNATURE = "serving_default"


def read_graph_def(saved_model: Path) -> tf.compat.v1.GraphDef:
    """The graph of a SavedModel, whose functions are in its library."""
    content = saved_model_pb2.SavedModel()
    content.ParseFromString((saved_model / "saved_model.pb").read_bytes())
    return content.meta_graphs[0].graph_def


class Converter(lite.TFLiteSavedModelConverterV2):
    """A converter whose int8 file is quantized by the ranges in a float file, which images set once."""

    keeps_ranges = False
    ranged = b""
    """The float file with the ranges, once the converter has run."""

    def _quantize(self, result: bytes, *settings: Any) -> bytes:
        if not self.keeps_ranges:
            return super()._quantize(result, *settings)
        if not self.ranged:
            self._experimental_calibrate_only = True
            self.ranged = super()._quantize(result, *settings)
            self._experimental_calibrate_only = False
        input_type, output_type, _, _, _, variables, debug = settings
        return mlir_quantize(
            self.ranged,
            self._experimental_disable_per_channel,
            input_data_type=input_type,
            output_data_type=output_type,
            enable_variable_quantization=variables,
            disable_per_channel_for_dense_layers=self._experimental_disable_per_channel_quantization_for_dense_layers,
            debug_options_str=debug.SerializeToString(),
        )

    def _optimize_tflite_model(self, model: bytes, *settings: Any, **more: Any) -> bytes:
        self._last = functools.partial(super()._optimize_tflite_model, model, *settings, **more)
        return self._last()

    def again(self, ranged: bytes) -> bytes:
        """The int8 file of a float file with ranges, which is self.ranged with other numbers in it."""
        self.ranged = ranged
        return self._convert_and_export_metrics(lambda own: own._last())


def converter_of(saved_model: Path, *, keeps_ranges: bool = False) -> Converter:
    """A converter of a SavedModel's one signature, to be set up as any TFLiteConverter.

    keeps_ranges: whether it quantizes to int8, and may do so again.
    """
    lite.TFLiteConverterBase._set_original_model_type(lite.conversion_metadata_fb.ModelType.TF_SAVED_MODEL)
    converter = Converter(str(saved_model), {tf.saved_model.SERVING}, [SIGNATURE])
    converter.keeps_ranges = keeps_ranges
    return converter


def run_converter(converter: Converter, graph: tf.compat.v1.GraphDef) -> bytes:
    """What converter.convert() gives; graph: of its SavedModel. Raises what that raises."""
    content: bytes = converter._convert_and_export_metrics(lambda own: own._convert_from_saved_model(graph))
    return content
