"""The keyword net of tests/sensed.py as torch's exporter would write it: channels first, [N, 1, 49, 10]."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.source.onnx.graphs import save
from tests.source.onnx.torch_cnn import Module


def torch_keywords(folder: Path) -> None:
    """keywords.onnx beside a folder's keywords.keras, with its weights."""
    import keras

    model = keras.saving.load_model(folder / "keywords.keras")
    values = {layer.name: layer.get_weights() for layer in model.layers}
    scaled, net = model.get_layer("scaled"), Module()
    net.constants = {"scale": np.float32(scaled.scale), "offset": np.float32(scaled.offset)}
    for name in ("conv", "depthwise", "pointwise"):
        order = (2, 3, 0, 1) if name == "depthwise" else (3, 2, 0, 1)
        net.constants[f"{name}.weight"] = values[name][0].transpose(order)
    for name in ("conv_bn", "depthwise_bn"):
        net.constants |= {f"{name}.{k}": value for k, value in enumerate(values[name])}
    kernel, bias = values["scores"]
    net.constants |= {"pointwise.bias": values["pointwise"][1], "scores.weight": kernel.T, "scores.bias": bias}

    x = net.node("/Add", net.node("/Mul", "frames", "scale"), "offset")
    x = net.node("/conv/Conv", x, "conv.weight", strides=[2, 2], pads=[4, 1, 5, 1])
    x = _normalized(net, x, "conv_bn")
    x = net.node("/depthwise/Conv", x, "depthwise.weight", group=16, pads=[1] * 4)
    x = _normalized(net, x, "depthwise_bn")
    x = net.node("/pointwise_relu/Relu", net.node("/pointwise/Conv", x, "pointwise.weight", "pointwise.bias"))
    x = net.node("/pool/AveragePool", x, kernel_shape=[25, 5], strides=[25, 5])
    x = net.node("/scores/Gemm", net.node("/Flatten", x, axis=1), "scores.weight", "scores.bias", transB=1)
    y = net.node("/Softmax", x, axis=1)
    path = folder / "keywords.onnx"
    save(path, net.nodes, {"frames": ["N", 1, 49, 10]}, net.constants, [y], producer="pytorch")


def _normalized(net: Module, x: str, name: str) -> str:
    """BatchNormalization with Keras' epsilon, and ReLU."""
    x = net.node(f"/{name}/BatchNormalization", x, *(f"{name}.{k}" for k in range(4)), epsilon=1e-3)
    return net.node(f"/{name}_relu/Relu", x)
