"""A file as storages and nodes: what the schedule, the memory plan and the C text are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgecut.engine.lowered import BYTES, MISFIT, Call, Lowered, Model, Read, View, row_view
from edgecut.engine.operators import INT16X8, OPERATORS, OPTIONS
from edgecut.engine.refusal import Refused
from edgecut.engine.upright import upright
from edgecut.errors import ExportError, SourceError, several
from edgecut.tflite.ends import integer_ends
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph, parse
from edgecut.tflite.kinds import RENAMES, WINDOWED
from edgecut.tflite.layers import called
from edgecut.tflite.patch import constants

MOST_ROWS = 65_535  # of one tensor: a row's number has 16 bits in the C text
MOST_STEPS = 400_000  # of one run, each of which makes a row; a picture of 1,024 rows in 200 layers takes half of it
MOST_BYTES = 2**25  # of one tensor: more than any microcontroller has
MOST_BYTES_TOGETHER = 2**31 - 1  # of all tensors: a replay gives each byte a number of 32 bits
CUT = "cut the model before it"
WITHOUT = "make the file without it"  # where nothing is before it


@dataclass(frozen=True)
class Storage:
    """A tensor in the work buffer, or sums that become one. linear: its rows may not wrap around, since a reader sees
    other rows than it has. parts: the steps that each row takes, those behind the first adding to what lies there.
    """

    index: int
    tensor: Tensor
    view: View
    linear: bool = False
    parts: int = 1


@dataclass(frozen=True, eq=False)
class Operand:
    """What a node reads for its step y: rows first[y] up to stop[y] of its view, which are those of the storage's own
    view from row_first[y] up to row_stop[y]. in_place: row y of the output may be written over row y of it.
    """

    storage: int
    view: View
    first: np.ndarray
    stop: np.ndarray
    row_first: np.ndarray
    row_stop: np.ndarray
    in_place: bool = False


@dataclass(frozen=True, eq=False)
class Node:
    """A kernel that makes a storage row by row. label: the operator and its layer, as sentences call it. steps: of all
    rows.
    """

    index: int
    label: str
    call: Call
    operands: tuple[Operand, ...]
    storage: int
    steps: int


@dataclass(frozen=True, eq=False)
class Network:
    """Storages by index, nodes in the file's order; inputs and outputs are storages, in the file's order."""

    storages: tuple[Storage, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


_NAMED = 3  # operators of a sentence that has one remedy for all


def read_network(content: bytes, where: str) -> Network:
    """The network of a .tflite file's bytes.

    A QUANTIZE of a float input and a DEQUANTIZE to a float output are left to the caller: the network takes and gives
    the integers. Raises SourceError for a damaged file, ExportError with a line for each operator that isn't supported.
    """
    graph = parse(content, where)
    try:
        model = Model(graph, constants(content, graph))
    except MISFIT as exc:
        raise SourceError(f"{where}: has a constant of another size than its shape says; get the file again") from exc
    return network_of(model, where)


def network_of(model: Model, where: str) -> Network:
    """The network of a graph and its constants; raises as read_network does."""
    _check_graph(model.graph, where)
    inputs, outputs = integer_ends(model.graph)
    turned = upright(model)
    needed = _needed(turned.graph, inputs, outputs)
    lowered, alias = _lower(turned, needed, set(inputs), where)
    network = _linked(turned.graph, lowered, alias, inputs, outputs, where)
    # Tensors are told by the shapes that the file has.
    named = model.graph.tensors
    storages = (replace(s, tensor=named[k]) if (k := s.tensor.index) < len(named) else s for s in network.storages)
    return replace(network, storages=tuple(storages))


def _check_graph(graph: TfliteGraph, where: str) -> None:
    dynamic = [
        graph.tensors[i] for i in graph.inputs if graph.tensors[i].dynamic and graph.tensors[i].shape[:1] != (1,)
    ]
    faults = [f"{where}: the input {t.name!r} has no fixed shape; export the model with fixed shapes" for t in dynamic]
    for tensor in (graph.tensors[index] for index in graph.inputs):
        readers = [op.name for op in graph.operators if tensor.index in op.inputs]
        if tensor.dtype == "float32" and len(readers) > 1 and set(readers) == {"QUANTIZE"}:
            what = f"the float32 input {tensor.name!r} is read by {len(readers)} QUANTIZE, and one is expected"
            faults.append(f"{where}: {what}; export it with an int8 input")
    if graph.subgraphs > 1:
        faults.append(f"{where}: has {graph.subgraphs} subgraphs, and one is expected; export it without control flow")
    if not graph.operators or not graph.inputs or not graph.outputs:
        faults.append(f"{where}: has no operator between an input and an output")
    if faults:
        raise several(ExportError, faults)
    made = next((op for op in graph.operators if not set(graph.inputs).isdisjoint(op.outputs)), None)
    if made is not None:
        raise SourceError(f"{where}: {called(graph, made)} makes an input of the model; get the file again")


def _needed(graph: TfliteGraph, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> list[Operator]:
    """The operators that the outputs depend on, in the file's order."""
    needed, operators = set(outputs), list[Operator]()
    for op in reversed(graph.operators):
        if any(index in needed and index not in inputs for index in op.outputs):
            operators.append(op)
            needed.update(op.inputs)
    return operators[::-1]


def _lower(
    model: Model, operators: list[Operator], inputs: set[int], where: str
) -> tuple[list[tuple[Operator, Lowered]], dict[int, int]]:
    """The operators bound to kernels, and the tensors that are others under another shape."""
    tensors = model.graph.tensors
    lowered: list[tuple[Operator, Lowered]] = []
    alias: dict[int, int] = {}
    faults: list[str] = []
    whole: dict[str, list[str]] = {}
    for op in operators:
        first = all(index in inputs for index in op.inputs if index >= 0 and not tensors[index].is_constant)
        remedy = WITHOUT if first else CUT
        try:
            if op.name in RENAMES and not op.custom:
                alias[op.outputs[0]] = _renamed(model, op)
            else:
                lowered += [(op, made) for made in _bound(model, op)]
        except Refused as refusal:
            if refusal.remedy:
                whole.setdefault(f"{refusal.reason}; {refusal.remedy}", []).append(called(model.graph, op))
            else:
                faults.append(f"{where}: {called(model.graph, op)} {refusal.reason}; {remedy}")
        except MISFIT:
            faults.append(f"{where}: {called(model.graph, op)} has shapes or options that don't fit together; {remedy}")
    faults += [f"{where}: {_together(names, reason)}" for reason, names in whole.items()]
    if faults:
        raise several(ExportError, faults)
    return lowered, alias


def _together(names: list[str], reason: str) -> str:
    """One sentence of the operators that one remedy is for; of many the first three are named."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more} {reason if len(names) == 1 else reason.replace('has ', 'have ', 1)}"


def _bound(model: Model, op: Operator) -> tuple[Lowered, ...]:
    wide = any(model.graph.tensors[index].dtype == "int16" for index in op.outputs)
    kernels = INT16X8 if wide else OPERATORS
    if op.custom or op.name not in kernels:
        raise Refused("has no kernel in C for int16 values" if wide and op.name in OPERATORS else "has no kernel in C")
    _check_sizes(model, op)
    _check_options(op)
    # Scales that float doesn't hold become infinite, and a factor that is gets refused.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        made = kernels[op.name](model, op)
    parts = made if isinstance(made, tuple) else (made,)
    for view in (view for part in parts for view in (part.view, *(read.view for read in part.reads))):
        if not 0 < view.rows <= MOST_ROWS or not 0 < view.size_bytes <= MOST_BYTES:
            raise Refused(f"has a tensor of {view.rows:,} rows and {view.size_bytes:,} bytes")
    return parts


def _check_sizes(model: Model, op: Operator) -> None:
    """Refuse what no buffer holds before tables are made for it."""
    for index in (*op.inputs, *op.outputs):
        tensor = model.graph.tensors[index] if index >= 0 else None
        if tensor is None or tensor.is_constant:
            continue
        if tensor.size_bytes <= 0:
            raise Refused(f"has a tensor of shape {list(tensor.shape)}, which holds nothing")
        if tensor.size_bytes > MOST_BYTES:
            raise Refused(f"has a tensor of shape {list(tensor.shape)}, and at most {MOST_BYTES:,} bytes are planned")


def _check_options(op: Operator) -> None:
    """Refuse options of another operator: the interpreter takes none then, and fields of one name mean other things."""
    own = OPTIONS.get(op.name, "")
    if own and op.table and op.table != own:
        raise Refused(f"has {op.table}, and {own} is expected", "export the model again")
    if op.table == "" and op.name in WINDOWED:
        raise Refused(f"has no options, and {own} is expected, which says its strides", "export the model again")


def _renamed(model: Model, op: Operator) -> int:
    source, output = (model.activation(i, *BYTES) for i in (op.inputs[0], op.outputs[0]))
    if source.elements != output.elements or source.dtype != output.dtype:
        raise Refused(f"makes shape {list(output.shape)} of shape {list(source.shape)}")
    return op.inputs[0]


def _linked(
    graph: TfliteGraph,
    lowered: Iterable[tuple[Operator, Lowered]],
    alias: Mapping[int, int],
    inputs: tuple[int, ...],
    outputs: tuple[int, ...],
    where: str,
) -> Network:
    def root(index: int) -> int:
        seen = {index}
        while index in alias and alias[index] not in seen:
            index = alias[index]
            seen.add(index)
        return index

    lowered = _of_use(list(lowered), map(root, outputs), root)
    views = {i: _input_view(graph.tensors[i], where) for i in inputs} | {made.output: made.view for _, made in lowered}
    _check_order(graph, lowered, [root(index) for index in outputs], set(inputs), where, root)
    steps, size = sum(made.steps for _, made in lowered), sum(view.size_bytes for view in views.values())
    if steps > MOST_STEPS or size > MOST_BYTES_TOGETHER:
        raise ExportError(
            f"{where}: makes {steps:,} rows in tensors of {size:,} bytes together, and at most {MOST_STEPS:,} and "
            f"{MOST_BYTES_TOGETHER:,} are planned; export it for a smaller input"
        )
    place = {tensor: k for k, tensor in enumerate(views)}
    sums = {made.output: made for _, made in lowered if made.state is not None}
    storages = [
        Storage(k, sums[t].state or graph.tensors[t], view, parts=sums[t].parts)
        if t in sums
        else Storage(k, graph.tensors[t], view)
        for k, (t, view) in enumerate(views.items())
    ]
    nodes: list[Node] = []
    for op, made in lowered:
        for read in made.reads:
            if read.view.size_bytes != storages[place[root(read.tensor)]].view.size_bytes:
                raise ExportError(f"{where}: {graph.tensors[read.tensor].name!r} is read in another size than it has")
        operands = tuple(_operand(read, storages[place[root(read.tensor)]], made.view) for read in made.reads)
        for operand in operands:
            if operand.view != storages[operand.storage].view:
                storages[operand.storage] = replace(storages[operand.storage], linear=True)
        nodes.append(Node(len(nodes), called(graph, op), made.call, operands, place[made.output], made.steps))
    return Network(tuple(storages), tuple(nodes), _places(inputs, place, root), _places(outputs, place, root))


def _of_use(
    lowered: Sequence[tuple[Operator, Lowered]], outputs: Iterable[int], root: Callable[[int], int]
) -> list[tuple[Operator, Lowered]]:
    """Without the parts of an operator, such as those of a SPLIT, that nothing reads."""
    needed, useful = set(outputs), list[tuple[Operator, Lowered]]()
    for op, part in reversed(lowered):
        if part.output in needed:
            useful.append((op, part))
            needed.update(root(read.tensor) for read in part.reads)
    return useful[::-1]


def _check_order(
    graph: TfliteGraph,
    lowered: Iterable[tuple[Operator, Lowered]],
    outputs: Iterable[int],
    made: set[int],
    where: str,
    root: Callable[[int], int],
) -> None:
    """Refuse a file that reads a tensor before it is made, or makes one twice. made: the inputs."""
    for op, part in lowered:
        for read in part.reads:
            if root(read.tensor) not in made:
                name = graph.tensors[read.tensor].name
                raise SourceError(f"{where}: {called(graph, op)} reads {name!r} before it is made; get the file again")
        if part.output in made:
            name = graph.tensors[part.output].name
            raise SourceError(f"{where}: {called(graph, op)} makes {name!r} a second time; get the file again")
        made.add(part.output)
    for index in outputs:
        if index in made:
            continue
        output = graph.tensors[index]
        if output.is_constant or index in graph.inputs:
            what = "a constant" if output.is_constant else f"the {output.dtype} input itself"
            raise ExportError(f"{where}: the output {output.name!r} is {what}; leave it out of the model's outputs")
        raise SourceError(f"{where}: nothing makes the output {output.name!r}; get the file again")


def _places(tensors: tuple[int, ...], place: Mapping[int, int], root: Callable[[int], int]) -> tuple[int, ...]:
    return tuple(place[root(tensor)] for tensor in tensors)


def _input_view(tensor: Tensor, where: str) -> View:
    if tensor.dtype not in BYTES:
        raise ExportError(f"{where}: the input {tensor.name!r} is {tensor.dtype}; quantize the whole model to int8")
    view = row_view(tensor)
    if not 0 < view.rows <= MOST_ROWS or not 0 < view.size_bytes <= MOST_BYTES:
        raise ExportError(f"{where}: the input {tensor.name!r} has shape {list(tensor.shape)}, which no buffer holds")
    return view


def _operand(read: Read, storage: Storage, made: View) -> Operand:
    own, seen = storage.view.row_bytes, read.view.row_bytes
    row_first, row_stop = read.first * seen // own, -(-read.stop * seen // own)
    row_stop = np.maximum(row_stop, row_first)
    in_place = read.in_place and read.view == storage.view == made
    return Operand(storage.index, read.view, read.first, read.stop, row_first, row_stop, in_place)
