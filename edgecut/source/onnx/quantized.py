"""QuantizeLinear and DequantizeLinear, where a quantized file is taken in floats."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from edgecut.source.onnx.building import Site, Unsupported, axis_of

# A calibrated maximum that stands for the 6 of a ReLU6: int8 has 255 steps, and calibration sees a little less.
_SIX = (5.8, 6.1)


def quantize(site: Site) -> None:
    """QuantizeLinear of an activation: nothing, or the ReLU whose range it took over.

    ONNX Runtime's static quantization deletes a Relu or Clip whose limits are those of the range.
    """
    view = site.tensor_view()
    scale, zero = site.weight(1), site.constant(2) if site.has(2) else np.zeros((), np.uint8)
    if zero is None or scale.size != 1:
        raise Unsupported("quantizes an activation by channel")
    limits = np.iinfo(zero.dtype)
    low, high = ((limit - int(zero.reshape(-1)[0])) * float(scale.reshape(-1)[0]) for limit in (limits.min, limits.max))
    from_input = site.is_input(0)
    if low < 0 or view.positive or from_input:
        site.out(view)
        return
    maximum = 6.0 if _SIX[0] < high < _SIX[1] else None
    site.note("a ReLU is put where a quantized activation's range begins at 0: quantizing deletes it")
    site.out(view.same(site.call(site.layer(keras.layers.ReLU, "relu", max_value=maximum), view.tensor), True))


def dequantize(site: Site) -> None:
    """DequantizeLinear of an activation that is in floats already, or of an input in integers."""
    view = site.tensor_view()
    if "int" not in str(view.tensor.dtype):
        site.out(view)
        return
    scale, zero = site.weight(1), site.optional(2)
    if scale.size != 1:
        raise Unsupported(f"dequantizes the data along axis {axis_of(view, int(site.attribute('axis', 1)))}")
    x = site.op(ops.cast, view.tensor, "float32", suffix="cast")
    offset = 0.0 if zero is None else float(zero.reshape(-1)[0])
    factor = float(scale.reshape(-1)[0])
    site.out(view.same(site.call(site.layer(keras.layers.Rescaling, scale=factor, offset=-offset * factor), x)))
