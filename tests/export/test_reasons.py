"""What a converter's error comes down to, in a sentence."""

from __future__ import annotations

import pytest

from edgecut.export.tflite import reason_of

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    ("sentence", "noise", "reason"),
    [
        ("Quantization not yet supported for op: 'CUMSUM'.\n", "",
         "TFLite has no integer kernel for CUMSUM; cut before it, or write float32 or dynamic"),
        ("Quantization to 16x8-bit not yet supported for op: 'CAST'.\n", "",
         "TFLite has no 16-bit kernel for CAST; cut before it, or write int8, float32 or dynamic"),
        ("Max and min for dynamic tensors should be recorded during calibration: Failed for tensor words:0\n", "",
         "its quantizer wants a range for 'words:0', and calibration records none for integers, as an Embedding's "
         "indices are; write int8, float32 or dynamic"),
        ("x", "Flex ops: FlexRoll, FlexErf\n", "TFLite has no operator for FlexRoll, FlexErf; cut before it, or "
                                               "replace it"),
        ('<unknown>:0: error: loc(callsite(fused["A:", "b@c"] at "d")): \'tf.X\' op isn\'t legal.\nmore', "",
         "in TensorFlow's words: 'tf.X' op isn't legal"),
        ("", "", "in TensorFlow's words: ValueError"),
    ],
)  # fmt: skip
def test_a_converters_error_comes_down_to_a_sentence(sentence: str, noise: str, reason: str) -> None:
    assert reason_of(ValueError(sentence), noise) == reason
