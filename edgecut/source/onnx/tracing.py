"""What is known of a file's tensors once ONNX Runtime has run it: shapes, types, constants, and where the batch is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecut.errors import RunError, SourceError
from edgecut.memory import out_of_memory
from edgecut.runtime.session import first_line
from edgecut.sandbox.child import ChildDied, death, the_child
from edgecut.source.onnx.nodes import Network
from edgecut.source.onnx.reading import OnnxFile

if TYPE_CHECKING:
    import onnx

Shape = tuple[int, ...]
BATCHES = (1, 3)
# Operators whose result doesn't tell by itself where the batch is.
_FOLLOWS_BATCH = frozenset({"Expand", "Gather", "Reshape", "Slice", "Squeeze", "Unsqueeze"})


@dataclass(frozen=True)
class Tensor:
    """An input or an output of a file. shape: None where the file leaves a size open."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    dimensions: tuple[str, ...] = ()
    """What the file calls its sizes, numbers as text."""
    batch_axis: int = 0
    """Where the batch is: first, unless another axis has the open size that other inputs begin with."""

    @property
    def inner_shape(self) -> tuple[int | None, ...]:
        """The shape without the batch."""
        return (*self.shape[: self.batch_axis], *self.shape[self.batch_axis + 1 :])


class Weights(Mapping[str, np.ndarray]):
    """A file's weights as arrays, each made where it is read: two copies of a large net needn't be in memory."""

    def __init__(self, tensors: Mapping[str, onnx.TensorProto], arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """arrays: constants that are no weights of the file."""
        self._tensors, self._arrays = tensors, dict(arrays or {})

    def __getitem__(self, name: str) -> np.ndarray:
        from onnx import numpy_helper

        return self._arrays[name] if name in self._arrays else numpy_helper.to_array(self._tensors[name])

    def __contains__(self, name: object) -> bool:
        return name in self._arrays or name in self._tensors

    def __iter__(self) -> Iterator[str]:
        yield from {**self._tensors, **self._arrays}

    def __len__(self) -> int:
        return len({*self._tensors, *self._arrays})

    def joined(self, arrays: Mapping[str, np.ndarray]) -> Weights:
        """These and other constants."""
        return Weights(self._tensors, {**self._arrays, **arrays})

    def shape(self, name: str) -> tuple[int, ...]:
        """A constant's shape, without reading it."""
        return self._arrays[name].shape if name in self._arrays else tuple(self._tensors[name].dims)


@dataclass(frozen=True)
class Trace:
    """What a run showed. shapes: at batch 1; batched: at batch 3, {} where it can't be run so, or needn't.

    single: whether the file takes one input at a time, so that its first is the only one.
    """

    shapes: Mapping[str, Shape]
    batched: Mapping[str, Shape]
    dtypes: Mapping[str, str]
    constants: Weights
    single: bool = False


def graph_inputs(file: OnnxFile) -> tuple[Tensor, ...]:
    """What the file takes, its constants left out."""
    graph = file.model.graph
    constants = {tensor.name for tensor in graph.initializer}
    tensors = [_tensor(value) for value in graph.input if value.name not in constants]
    named = next((t.dimensions[0] for t in tensors if t.shape and t.shape[0] is None), None)
    return tuple(replace(tensor, batch_axis=_batch_axis(tensor, named)) for tensor in tensors)


def _batch_axis(tensor: Tensor, named: str | None) -> int:
    """Where the batch is. named: what the open first axis of an input is called."""
    if not tensor.shape or tensor.shape[0] in {None, 1}:
        return 0
    if named in tensor.dimensions:
        return tensor.dimensions.index(named)
    # (steps, batch, features) of a file that leaves the batch alone open.
    return tensor.shape.index(None) if tensor.shape.count(None) == 1 else 0


def graph_outputs(file: OnnxFile) -> tuple[Tensor, ...]:
    """What the file puts out."""
    return tuple(_tensor(value) for value in file.model.graph.output)


def fixed_shapes(file: OnnxFile, shape: Sequence[int] | Mapping[str, Sequence[int]] | None) -> dict[str, Shape]:
    """The shape of each input without its batch.

    shape: of one input, or by its name, without the batch, in the file's order. Raises SourceError where the file
    leaves a size open and `shape` doesn't fix it, or where the two don't fit.
    """
    inputs = graph_inputs(file)
    fixing = sizes_by_name(file, shape)
    faults = [f"takes {t.name!r} as one number, where numbers with a batch are expected" for t in inputs if not t.shape]
    fixed: dict[str, Shape] = {}
    for tensor in inputs:
        own = tensor.inner_shape
        sizes = fixing.get(tensor.name, own)
        if len(sizes) != len(own) or any(a is not None and a != b for a, b in zip(own, sizes, strict=True)):
            faults.append(f"takes {tensor.name!r} as {_text(own)} behind the batch, and shape= says {_text(sizes)}")
        elif any(size is None for size in sizes):
            faults.append(
                f"leaves sizes of {tensor.name!r} open: ({', '.join(tensor.dimensions)}); "
                "pass shape= (--shape) without the batch"
            )
        else:
            fixed[tensor.name] = tuple(int(size) for size in sizes if size is not None)
    if faults:
        raise SourceError(f"{file.path}: {'; '.join(faults)}")
    return fixed


def sizes_by_name(
    file: OnnxFile, shape: Sequence[int] | Mapping[str, Sequence[int]] | None
) -> dict[str, tuple[int | None, ...]]:
    """What `shape` says of each input by its name. Raises SourceError where it names none, or not one of several."""
    inputs = graph_inputs(file)
    if shape is None:
        return {}
    if isinstance(shape, Mapping):
        if unknown := sorted(set(shape) - {tensor.name for tensor in inputs}):
            names = ", ".join(repr(tensor.name) for tensor in inputs)
            raise SourceError(f"{file.path}: takes no input {unknown[0]!r}; its inputs are {names}")
        return {name: tuple(sizes) for name, sizes in shape.items()}
    if len(inputs) != 1:
        raise SourceError(f"{file.path}: takes {len(inputs)} inputs; give shape= by the input's name")
    return {inputs[0].name: tuple(shape)}


def trace(file: OnnxFile, network: Network, fixed: Mapping[str, Shape]) -> Trace:
    """Run the file in a child process with limits, once at each batch that it can be run at.

    Raises SourceError if ONNX Runtime refuses the file, RunError if it dies of it.
    """
    inputs = graph_inputs(file)
    batches = BATCHES if any(node.operator in _FOLLOWS_BATCH for node in network.nodes) else BATCHES[:1]
    feeds = [{t.name: (t.dtype, _fed(t, fixed, size)) for t in inputs} for size in batches]
    read = {name for node in network.nodes for name in node.inputs} | set(network.outputs)
    weights = {tensor.name for tensor in file.model.graph.initializer}
    constants = sorted((read & network.constants) - weights)
    made = {name for node in network.nodes for name in node.outputs if name}
    child = the_child()
    job = {
        "do": "trace",
        "path": str(file.path.absolute()),
        "inputs": feeds,
        "batch_axes": {t.name: t.batch_axis for t in inputs},
        "constants": constants,
        "tensors": sorted(made | set(constants)),
        "address_bytes": child.limits.address_bytes_for(file.size_bytes),
    }
    try:
        answer, values, noise = child.ask(job)
    except ChildDied as exc:
        raise RunError(f"{file.path}: {exc}") from exc
    reason = answer.get("error") or answer["reason"] or answer["runs"][0].get("reason", "")
    if reason and out_of_memory(reason):
        raise RunError(f"{file.path}: {death(None, noise, child.limits)}")
    if reason:
        own = next((t.shape[0] for t in inputs if t.shape and t.shape[0] not in {None, 1}), None)
        alone = f"takes {own} inputs at once, and with one " if own else ""
        remedy = "; export it with an open batch" if own else ""
        raise SourceError(f"{file.path}: {alone}ONNX Runtime can not run it: {first_line(reason)}{remedy}")
    known = dict(zip(answer["constants"], values, strict=True))
    traced = _trace(answer["runs"], feeds, _weights(file, read & weights).joined(known))
    return replace(traced, single=all(t.shape[t.batch_axis] == 1 for t in inputs if t.shape))


def _trace(
    runs: Sequence[Mapping[str, Any]], feeds: Sequence[Mapping[str, tuple[str, Shape]]], constants: Weights
) -> Trace:
    """The answer of the child as a trace."""
    shapes, dtypes = dict(runs[0]["shapes"]), dict(runs[0]["dtypes"])
    later = dict(runs[1]["shapes"]) if len(runs) > 1 and "shapes" in runs[1] else {}
    for name, (dtype, shape) in feeds[0].items():
        shapes[name], dtypes[name] = shape, dtype
        if later:
            later[name] = feeds[1][name][1]
    one, three = ({name: tuple(shape) for name, shape in side.items()} for side in (shapes, later))
    return Trace(one, three, dtypes, constants)


def _weights(file: OnnxFile, names: set[str]) -> Weights:
    return Weights({t.name: t for t in file.model.graph.initializer if t.name in names})


def _fed(tensor: Tensor, fixed: Mapping[str, Shape], batch: int) -> Shape:
    inner, axis = fixed[tensor.name], tensor.batch_axis
    return (*inner[:axis], batch, *inner[axis:]) if tensor.shape else ()


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    from onnx import helper

    dims = value.type.tensor_type.shape.dim
    sizes = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims)
    try:
        dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name
    except KeyError:
        dtype = "unknown"
    return Tensor(value.name, sizes, dtype, tuple(str(d.dim_value or d.dim_param or "?") for d in dims))


def _text(sizes: Sequence[int | None]) -> str:
    return f"({', '.join('?' if size is None else str(size) for size in sizes)})"
