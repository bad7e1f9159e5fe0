"""TensorFlow's converter for a SavedModel, which is read once.

Public names of TFLiteConverter load it three times as Keras or TensorFlow objects, to list its signatures and to quote
source lines in errors: two thirds of a conversion's time for MobileNetV1. The names here are TensorFlow 2.21's own;
tests/export/test_converter.py holds their files equal to the public converter's.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.lite.python import lite

SIGNATURE = "serving_default"


def read_graph_def(saved_model: Path) -> tf.compat.v1.GraphDef:
    """The graph of a SavedModel, whose functions are in its library."""
    content = saved_model_pb2.SavedModel()
    content.ParseFromString((saved_model / "saved_model.pb").read_bytes())
    return content.meta_graphs[0].graph_def


def converter_of(saved_model: Path) -> lite.TFLiteSavedModelConverterV2:
    """A converter of a SavedModel's one signature, to be set up as any TFLiteConverter."""
    lite.TFLiteConverterBase._set_original_model_type(lite.conversion_metadata_fb.ModelType.TF_SAVED_MODEL)
    return lite.TFLiteSavedModelConverterV2(str(saved_model), {tf.saved_model.SERVING}, [SIGNATURE])


def run_converter(converter: lite.TFLiteSavedModelConverterV2, graph: tf.compat.v1.GraphDef) -> bytes:
    """What converter.convert() gives; graph: of its SavedModel. Raises what that raises."""
    content: bytes = converter._convert_and_export_metrics(lambda own: own._convert_from_saved_model(graph))
    return content
