"""An .onnx file to a Keras model: its nodes walked in order, each by its operator's rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgecut.errors import SourceError
from edgecut.graph.naming import counted_anew
from edgecut.graph.sentences import telling_line
from edgecut.records.progress import SILENT, Advance, Progress
from edgecut.source.onnx.building import Build, Site, Unsupported
from edgecut.source.onnx.fusion import fused
from edgecut.source.onnx.inputs import axis_orders, model_dtype, used_inputs
from edgecut.source.onnx.layout import BATCH, LayoutError, View
from edgecut.source.onnx.names import clean, layer_names
from edgecut.source.onnx.nodes import Network, Node, read_network, weight_origins
from edgecut.source.onnx.operators import RULES
from edgecut.source.onnx.reading import OnnxFile, read_file
from edgecut.source.onnx.survey import Survey, cut_remedy, cuts_before, refusal, survey_network
from edgecut.source.onnx.tracing import Trace, fixed_shapes, graph_inputs, trace

# What ends in values between 0 and 1: an error in it hides where they are saturated.
SATURATING = frozenset({"Sigmoid", "Softmax", "LogSoftmax", "HardSigmoid", "Tanh"})

_CHAIN = 500  # layers in a row that Keras surely makes a model of; it fails at some 950


@dataclass(frozen=True)
class Port:
    """An input or an output of the file and of the model. axes: the file's axis for each dimension of the model's.

    batch_axis: the file's axis that the batch is in.
    """

    name: str
    dtype: str
    axes: tuple[int, ...]
    batch_axis: int | None
    shape: tuple[int, ...]
    tensor: Any = None

    def to_keras(self, array: np.ndarray) -> np.ndarray:
        """The file's array as the model has it."""
        # Where the file has no batch, the first axis is of the runs.
        order = self.axes if self.batch_axis is not None else (0, *(axis + 1 for axis in self.axes))
        return array.transpose(order).reshape(-1, *self.tensor.shape[1:])

    def to_onnx(self, array: np.ndarray) -> np.ndarray:
        """The model's array as the file has it."""
        sizes = [self.shape[axis] for axis in self.axes]
        sizes = [len(array) if axis == self.batch_axis else size for axis, size in zip(self.axes, sizes, strict=True)]
        return np.ascontiguousarray(array.reshape(sizes).transpose(np.argsort(self.axes)))


@dataclass(frozen=True)
class Imported:
    """A Keras model and where it is from.

    node_names: for each layer the file's nodes that it stands for. before: what goes into a saturating end.
    batch: what the file takes at once. dequantized: whether the file computes in integers, and the model in floats.
    """

    model: keras.Model
    node_names: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
    file: OnnxFile
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    before: tuple[Port, ...] = ()
    batch: int = 1
    dequantized: bool = False
    floats: str = "float32"
    """The coarsest floats that the file computes in."""


def convert(
    path: str | Path,
    *,
    outputs: Sequence[str] | None = None,
    dequantize: bool = False,
    shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    progress: Progress = SILENT,
) -> Imported:
    """The Keras model, channels last, that computes what an .onnx file computes.

    outputs: tensors or nodes to end at, by default the file's outputs. dequantize: take a quantized file, in floats.
    shape: of the input without the batch, or by the input's name, where the file leaves sizes open.
    Raises SourceError for a file that can't be read or had, with every operator that stands in the way.
    """
    file = read_file(path)
    network = read_network(file, outputs)
    surveyed = survey_network(file, network, dequantize=dequantize)
    if surveyed.refused:
        raise SourceError(f"{path}: {refusal(surveyed)}")
    traced = trace(file, network, fixed_shapes(file, shape))
    with counted_anew():
        return _converted(file, network, traced, surveyed, progress)


def _converted(file: OnnxFile, network: Network, traced: Trace, surveyed: Survey, progress: Progress) -> Imported:
    nodes, constants = fused(network, traced)
    traced = replace(traced, constants=constants)
    build = Build(traced, origins=weight_origins(file.model.graph))
    inputs = _inputs(file, build, nodes, axis_orders(file, network))
    with progress.task("making layers", len(nodes)) as advance:
        _walk(file, build, nodes, network, advance)
    ends = [_port(build, name, f"output {name!r}") for name in network.outputs]
    before = [_port(build, name, name) for name in _before_ends(nodes, network)]
    _name_inner(build, [port.tensor for port in (*ends, *before)])
    model = _model(file, inputs, ends, nodes)
    names = {name: build.nodes_of(name) for name in build.layers}
    used = {operation.name for operation in model.operations}
    floats = next((name for name in ("bfloat16", "float16") if name in traced.dtypes.values()), "float32")
    own = [f"computes in {floats}, and the model made of it in float32"] if floats != "float32" else []
    said = [*surveyed.notes, *own, *build.notes, *_turned(ends)]
    return Imported(
        model,
        {name: nodes for name, nodes in names.items() if name in used},
        tuple(said),
        _without_weights(file),
        tuple(inputs),
        tuple(ends),
        tuple(before),
        next((t.shape[t.batch_axis] or 1 for t in graph_inputs(file) if t.shape), 1),
        surveyed.quantized,
        floats,
    )


def _model(file: OnnxFile, inputs: Sequence[Port], ends: Sequence[Port], nodes: Sequence[Node]) -> keras.Model:
    try:
        return keras.Model(
            [port.tensor for port in inputs] if len(inputs) > 1 else inputs[0].tensor,
            [port.tensor for port in ends] if len(ends) > 1 else ends[0].tensor,
            name=clean(file.path.stem),
        )
    except RecursionError as exc:  # Keras follows a chain of layers by a call in a call.
        remedy = cut_remedy(file.path, nodes[_CHAIN].outputs[:1])
        raise SourceError(
            f"{file.path}: can't be imported: of its {len(nodes)} nodes more follow one another than Keras makes a "
            f"model of{remedy}"
        ) from exc


def _inputs(file: OnnxFile, build: Build, nodes: Sequence[Node], orders: Mapping[str, list[int]]) -> list[Port]:
    """A Keras input for each of the file's that is used, its channels last. orders: of the axes, by the file's name."""
    ports = []
    for tensor in used_inputs(file, {name for node in nodes for name in node.inputs}):
        shape, order = build.trace.shapes[tensor.name], orders[tensor.name]
        sizes = [shape[axis] for axis in order[1:]]
        name = clean(tensor.name)
        build.used.add(name.lower())
        value = keras.Input(sizes, dtype=model_dtype(tensor), name=name)
        axes = tuple((order.index(axis),) for axis in range(len(shape)))
        build.views[tensor.name] = View(value, axes)
        ports.append(Port(tensor.name, tensor.dtype, tuple(order), tensor.batch_axis, shape, value))
    return ports


def _walk(file: OnnxFile, build: Build, nodes: Sequence[Node], network: Network, advance: Advance) -> None:
    """Make the layers of all nodes. Raises SourceError with every node that no layer computes."""
    names, faults = layer_names(nodes), dict[str, str]()
    lost: set[str] = set()
    for node in nodes:
        advance(1)
        if lost.intersection(node.inputs):
            lost.update(node.outputs)
            continue
        site = Site(build, node, names[node.place])
        try:
            _rule(node.operator)(site)
        except (Unsupported, LayoutError) as exc:
            faults[node.name] = f"{node.operator} {node.name!r} {exc}"
            lost.update(node.outputs)
        except (
            AssertionError,
            AttributeError,
            IndexError,
            KeyError,
            OverflowError,
            TypeError,
            ValueError,
            ZeroDivisionError,
        ) as exc:
            faults[node.name] = f"{node.operator} {node.name!r} can't be built ({telling_line(exc)})"
            lost.update(node.outputs)
    if faults:
        shown = "; ".join([*faults.values()][:8]) + (f"; and {len(faults) - 8} more" if len(faults) > 8 else "")
        # Fusing makes constants of its own, which no cut can be at.
        constants = network.constants | set(build.trace.constants)
        remedy = cut_remedy(file.path, cuts_before(replace(network, nodes=tuple(nodes), constants=constants), faults))
        raise SourceError(f"{file.path}: can't be imported: {shown}{remedy}")


def _name_inner(build: Build, tensors: Sequence[Any]) -> None:
    """Name the operations inside of a rule after the node that it is of."""
    pending: list[tuple[Any, Node | None]] = [(tensor, None) for tensor in tensors]
    seen: set[int] = set()
    while pending:
        tensor, node = pending.pop()
        operation, index, _ = tensor._keras_history
        if id(operation) in seen:
            continue
        seen.add(id(operation))
        own = build.layers.get(operation.name, node)
        if (
            operation.name not in build.layers
            and node is not None
            and not isinstance(operation, keras.layers.InputLayer)
        ):
            operation.name = Site(build, node, clean(operation.name)).layer_name()
        pending += [(t, own) for t in operation._inbound_nodes[index].arguments.keras_tensors]


def _rule(operator: str) -> Callable[[Site], None]:
    home, _, function = RULES[operator].home.partition(":")
    rule: Callable[[Site], None] = getattr(import_module(f"edgecut.source.onnx.{home}"), function)
    return rule


def _port(build: Build, name: str, what: str) -> Port:
    """An output with one dimension for each of its axes that has any, as they lie."""
    view = build.views.get(name)
    if view is None or isinstance(view.tensor, np.ndarray):
        raise SourceError(f"{what} doesn't depend on the model's input")
    node = Node("Identity", name, (name,), (name,))
    site = Site(build, node, clean(name))
    batch = view.batch_axis
    for axis in range(len(view.axes)):
        if axis != batch and len(view.axes[axis]) > 1:
            view = site.mover.single(view, axis)
    if batch is not None and len(view.axes[batch]) > 1:
        raise SourceError(f"{what} has its batch merged with another axis")
    later = build.trace.batched.get(name)
    if batch is not None and later and later[batch] == view.shape[batch] and not build.trace.single:
        raise SourceError(f"{what} is computed from a part of the batch")
    by_place = sorted((axis for axis in range(len(view.axes)) if axis != batch), key=lambda axis: _place(view, axis))
    x = site.mover.arranged(view, [view.axes[axis] for axis in by_place])
    axes = (*([batch] if batch is not None else []), *by_place)
    dtype = build.trace.dtypes.get(name, "float32")
    if "int" in dtype and "float" in str(x.dtype):
        raise SourceError(
            f"{what} is in {dtype}, which a model in floats doesn't put out; end before it with outputs= (--to)"
        )
    return Port(name, dtype, axes, batch, view.shape, x)


def _place(view: View, axis: int) -> tuple[int, int]:
    """Where an axis lies. One of size 1 goes before those behind it, in a picture before its channels."""
    places = [group[0] if group and group != (BATCH,) else None for group in view.axes]
    own = places[axis]
    if own is not None:
        return own, 1
    behind = [place for place in places[axis + 1 :] if place is not None]
    last = max((p for p in places if p is not None), default=0) if len(view.axes) > 3 else len(view.sizes)
    return min(behind, default=last), 0


def _before_ends(nodes: Sequence[Node], network: Network) -> Iterator[str]:
    for node in nodes:
        if node.operator in SATURATING and set(node.outputs) & set(network.outputs):
            yield from {node.inputs[0]}.difference(network.inputs)


def _without_weights(file: OnnxFile) -> OnnxFile:
    """The file's nodes, inputs and outputs: the weights are the model's by now, and needn't be in memory twice."""
    import onnx

    model, graph = onnx.ModelProto(), file.model.graph
    model.graph.node.extend(graph.node)
    model.graph.input.extend(graph.input)
    model.graph.output.extend(graph.output)
    model.opset_import.extend(file.model.opset_import)
    model.producer_name, model.producer_version = file.model.producer_name, file.model.producer_version
    return replace(file, model=model)


def _turned(ends: Sequence[Port]) -> Iterator[str]:
    """A sentence for each output whose axes lie otherwise than in the file."""
    for port in ends:
        if list(port.axes) != sorted(port.axes):
            own = (None, *port.tensor.shape[1:])
            yield f"output {port.name!r} is {port.shape} in the file, and {own} here: axes {port.axes}"
