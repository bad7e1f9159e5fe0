"""The inputs of the model that an import makes, told without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecut.source.onnx.names import clean
from edgecut.source.onnx.nodes import Network, read_network
from edgecut.source.onnx.orientation import input_orders
from edgecut.source.onnx.reading import OnnxFile, read_file
from edgecut.source.onnx.tracing import Tensor, graph_inputs, sizes_by_name


@dataclass(frozen=True)
class ModelInput:
    """An input of the model. name: its layer's. shape: the batch first, the channels last, None where open.

    order: the file's axis for each of the model's. file_shape: as the file has it, its batch None.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    order: tuple[int, ...]
    file_shape: tuple[int | None, ...]

    @property
    def is_turned(self) -> bool:
        """Whether the file has its axes in another order."""
        return list(self.order) != sorted(self.order)


def model_inputs(
    path: str | Path, shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None
) -> tuple[ModelInput, ...]:
    """The inputs in the model's order. shape: as convert takes it. Raises SourceError for what can't be read."""
    file = read_file(path)
    network = read_network(file)
    orders, sizes = axis_orders(file, network), sizes_by_name(file, shape)
    return tuple(
        _input(tensor, orders[tensor.name], sizes.get(tensor.name, tensor.inner_shape))
        for tensor in used_inputs(file, {name for node in network.nodes for name in node.inputs})
    )


def axis_orders(file: OnnxFile, network: Network) -> dict[str, list[int]]:
    """For each input of a file the order of its axes in the model."""
    return input_orders(network.nodes, {t.name: (len(t.shape), t.batch_axis) for t in graph_inputs(file)})


def used_inputs(file: OnnxFile, read: set[str]) -> tuple[Tensor, ...]:
    """The inputs that a model has: those of several that nothing reads are left out. read: what the nodes take."""
    tensors = graph_inputs(file)
    return tuple(tensor for tensor in tensors if tensor.name in read or len(tensors) == 1)


def model_dtype(tensor: Tensor) -> str:
    """The type that the model takes, of floats float32."""
    return "float32" if "float" in tensor.dtype else tensor.dtype


def _input(tensor: Tensor, order: Sequence[int], sizes: Sequence[int | None]) -> ModelInput:
    own = (*sizes[: tensor.batch_axis], None, *sizes[tensor.batch_axis :])
    fits = len(own) == len(tensor.shape)
    full = own if fits else tensor.shape  # of a shape that the file doesn't have, which the import refuses
    shape = (None, *(full[axis] for axis in order[1:]))
    return ModelInput(clean(tensor.name), shape, model_dtype(tensor), tuple(order), tuple(full))
