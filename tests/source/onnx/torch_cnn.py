"""A small convolutional network as torch's exporter writes it: channels first, with the modules' names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from tests.source.onnx.graphs import one, save, weight

CLASSES = 5


class Module:
    """Nodes and weights in the order in which they were added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {"low": np.float32(0), "high": np.float32(6)}

    def node(self, name: str, *inputs: str, **attributes: object) -> str:
        """The output of a new node, whose operator is the last part of its name."""
        output = f"{name}_output_0"
        self.nodes.append(one(name.rpartition("/")[2], *inputs, outputs=[output], name=name, **attributes))
        return output

    def block(self, x: str, module: str, filters: int, channels: int, kernel: int, stride: int, group: int = 1) -> str:
        """Convolution, BatchNormalization and ReLU6."""
        self.constants[f"{module}.0.weight"] = weight(filters, channels // group, kernel, kernel)
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.constants[f"{module}.1.{name}"] = np.abs(weight(filters)) + np.float32(0.5)
        pads, strides, path = [kernel // 2] * 4, [stride, stride], f"/{module}/{module}"
        y = self.node(f"{path}.0/Conv", x, f"{module}.0.weight", pads=pads, strides=strides, group=group)
        norm = [f"{module}.1.{name}" for name in ("weight", "bias", "running_mean", "running_var")]
        y = self.node(f"{path}.1/BatchNormalization", y, *norm)
        return self.node(f"{path}.2/Clip", y, "low", "high")


def torch_cnn(path: Path, *, size: int | str = 32, batch: int | str = "N", tail: str = "") -> Path:
    """The file, written: three blocks with a residual, a mean, five scores. tail: an operator behind them."""
    module = Module()
    x = module.block("input", "stem", 8, 3, 3, 2)
    y = module.block(x, "block.depthwise", 8, 8, 3, 1, group=8)
    x = module.node("/block/Add", x, module.block(y, "block.pointwise", 8, 8, 1, 1))
    x = module.node("/pool/GlobalAveragePool", module.block(x, "down", 16, 8, 3, 2))
    x = module.node("/Flatten", x, axis=1)
    module.constants |= {"fc.weight": weight(CLASSES, 16), "fc.bias": weight(CLASSES)}
    x = module.node("/fc/Gemm", x, "fc.weight", "fc.bias", transB=1)
    if tail:
        x = module.node(f"/tail/{tail}", x)
    nodes = [*module.nodes, one("Identity", x, outputs=["output"], name="/Identity")]
    return save(path, nodes, {"input": [batch, 3, size, size]}, module.constants, ["output"], producer="pytorch")
