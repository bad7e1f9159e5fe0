"""A part of a .tflite file as a .tflite file: cut at tensors, bit-exact, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy

from ai_edge_litert import schema_py_generated as schema

from edgecut.errors import GraphError
from edgecut.records.nearest import closest
from edgecut.tflite.flatbuffer import TfliteGraph, parse
from edgecut.tflite.kinds import STATEFUL
from edgecut.tflite.pack import AlignedBuffer, packed, unpacked
from edgecut.tflite.reach import Network, Node, Part, matching, short_names

# Other metadata describes the inputs, the outputs or the tensors' places by index, and isn't true of a part.
KEPT_METADATA = frozenset({b"min_runtime_version", b"CONVERSION_METADATA", b"reduced_precision_support"})


def cut_tflite(content: bytes, to: Sequence[str | int], start: Sequence[str | int] = ()) -> bytes:
    """The part of a .tflite file that computes the tensors `to` from the tensors `start`.

    to, start: tensor names, or operator positions as in `edgecut inspect` (negative from the end), which mean what
    the operator puts out. Without `start` the result takes those inputs of the file that it needs; without `to` it
    puts out what the file does. Weights, scales, operator versions and options are kept as they are; tensors,
    buffers and operator codes that nothing uses are dropped. Every signature is replaced by one of the part's own
    inputs and outputs: "input" and "output", or "input_k" and "output_k" where there are several; an input that the
    file has already keeps its name there. Tensors keep their names.
    Raises SourceError if `content` is no .tflite file, GraphError if a name is unknown or ambiguous, if more than
    `start` is needed, or if the part keeps state in variables.
    """
    graph = parse(content, "model")
    part, outputs = select(graph, to, start)
    return _cut(unpacked(content), graph, part, outputs)


def cut_tensors(content: bytes, to: Sequence[int], start: Sequence[int] = ()) -> bytes:
    """The same as cut_tflite, for tensors given by their index; inputs and outputs come in the order given."""
    return Parts(content, parse(content, "model")).cut(to, start)


class Parts:
    """Parts of one file, which is unpacked once for all of them."""

    def __init__(self, content: bytes, graph: TfliteGraph) -> None:
        """graph: the content's. Raises SourceError if the file keeps weights in other files."""
        self.graph = graph
        self._model, self._network = unpacked(content), network(graph)

    def cut(self, to: Sequence[int], start: Sequence[int] = ()) -> bytes:
        """What cut_tensors gives; raises as that does."""
        return _cut(self._model, self.graph, self._network.part(tuple(to), tuple(start)), tuple(to))


def select(
    graph: TfliteGraph, to: Sequence[str | int], start: Sequence[str | int] = ()
) -> tuple[Part[int], tuple[int, ...]]:
    """The operators and input tensors of the part that cut_tflite keeps, and its output tensors, all by index.

    Raises GraphError as cut_tflite does.
    """
    wanted = tuple(dict.fromkeys(i for ref in to for i in find_tensors(graph, ref))) or graph.outputs
    starts = tuple(dict.fromkeys(i for ref in start for i in find_tensors(graph, ref)))
    return network(graph).part(wanted, starts), wanted


def network(graph: TfliteGraph) -> Network[int]:
    """The graph's operators as a Network over tensor indices."""
    nodes = (Node(tuple(i for i in op.inputs if i >= 0), op.outputs) for op in graph.operators)
    short = short_names(tensor.name for tensor in graph.tensors)
    return Network(tuple(nodes), graph.inputs, lambda index: short[graph.tensors[index].name])


def find_tensors(graph: TfliteGraph, ref: str | int) -> tuple[int, ...]:
    """The tensors that a reference means: one for a name, all outputs for an operator's position.

    A name is a tensor's whole name, its beginning up to the first semicolon, or any of the names between semicolons.
    Raises GraphError if there is none (closest names offered), several (the choices), or only a constant.
    """
    if isinstance(ref, int):
        if not -len(graph.operators) <= ref < len(graph.operators):
            last = len(graph.operators) - 1
            raise GraphError(f"no operator at position {ref}: the file has {last + 1} operators, 0 to {last}")
        return graph.operators[ref].outputs
    net = network(graph)
    names = {index: graph.tensors[index].name for index in net.fed}
    meant = matching(ref, names.values())
    found = [index for index, name in names.items() if name in meant]
    if len(found) == 1:
        return (found[0],)
    if found:
        choices = ", ".join(str(net.producer.get(index, "an input")) for index in found)
        raise GraphError(f"{len(found)} tensors are called {ref!r}; give the operator's position: {choices}")
    if any(tensor.name == ref for tensor in graph.tensors):
        raise GraphError(f"{ref!r} is a constant of the file; name a tensor that is computed from the input")
    raise GraphError(f"no tensor {ref!r}{closest(ref, (net.label(index) for index in net.fed), 5)}")


def _cut(whole: schema.ModelT, graph: TfliteGraph, part: Part[int], outputs: tuple[int, ...]) -> bytes:
    stateful = sorted({graph.operators[place].name for place in part.kept} & STATEFUL)
    if stateful:
        raise GraphError(f"the part keeps state between runs ({', '.join(stateful)}); cut where no variable is used")
    model = _copied(whole)
    _shrink(model, graph, part, outputs)
    return packed(model)


def _copied(model: schema.ModelT) -> schema.ModelT:
    """A model of which _shrink may change whatever it does; buffers and options are shared."""
    own = copy(model)
    own.subgraphs = [copy(subgraph) for subgraph in model.subgraphs]
    for subgraph in own.subgraphs:
        subgraph.operators = [copy(operator) for operator in subgraph.operators or ()]
        subgraph.tensors = [copy(tensor) for tensor in subgraph.tensors or ()]
    own.metadata = [copy(entry) for entry in model.metadata or ()]
    return own


def _shrink(model: schema.ModelT, graph: TfliteGraph, part: Part[int], outputs: Sequence[int]) -> None:
    """Leave of a ModelT what the part needs, everything renumbered."""
    inputs = part.entries
    names = [_signature_names(model, graph, inputs, "input"), _signature_names(model, graph, outputs, "output")]
    first = model.subgraphs[0]
    first.operators = [first.operators[place] for place in part.kept]
    if not any(_calls_subgraphs(operator) for operator in first.operators):
        model.subgraphs = [first]
    used = {*inputs, *outputs}
    for operator in first.operators:
        used.update(int(i) for i in (*_ints(operator.inputs), *operator.outputs, *_ints(operator.intermediates)))
    place = {old: new for new, old in enumerate(sorted(used - {-1}))} | {-1: -1}
    first.tensors = [first.tensors[index] for index in sorted(used - {-1})]
    first.inputs, first.outputs = ([place[i] for i in side] for side in (inputs, outputs))
    for operator in first.operators:
        operator.inputs, operator.outputs = ([place[i] for i in _ints(s)] for s in (operator.inputs, operator.outputs))
        if operator.intermediates is not None:
            operator.intermediates = [place[i] for i in _ints(operator.intermediates)]
    if model.signatureDefs:
        model.signatureDefs = [_signature(model.signatureDefs[0].signatureKey, first, names)]
    _drop_unused_codes(model)
    _drop_unused_buffers(model)


def _signature_names(model: schema.ModelT, graph: TfliteGraph, indices: Sequence[int], word: str) -> list[str]:
    """What a signature calls the part's inputs or outputs; "output" for one, "output_0" and so on for several."""
    taken: dict[int, str] = {}
    for signature in model.signatureDefs or ():
        if signature.subgraphIndex == 0:
            maps = (signature.inputs if word == "input" else signature.outputs) or ()
            taken |= {int(m.tensorIndex): (m.name or b"").decode(errors="replace") for m in maps}
    same = tuple(indices) == graph.outputs if word == "output" else True
    known = taken if same else {}
    names: list[str] = []
    for number, index in enumerate(indices):
        name = known.get(index) or (word if len(indices) == 1 else f"{word}_{number}")
        while name in names or (index not in known and name in known.values()):
            name += "_"
        names.append(name)
    return names


def _signature(key: bytes, subgraph: schema.SubGraphT, names: Sequence[Sequence[str]]) -> schema.SignatureDefT:
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = key, 0
    signature.inputs = [_map(name, i) for name, i in zip(names[0], subgraph.inputs, strict=True)]
    signature.outputs = [_map(name, i) for name, i in zip(names[1], subgraph.outputs, strict=True)]
    return signature


def _map(name: str, index: int) -> schema.TensorMapT:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry


def _calls_subgraphs(operator: schema.OperatorT) -> bool:
    fields = {**_fields(operator.builtinOptions), **_fields(getattr(operator, "builtinOptions2", None))}
    return any("subgraph" in key.lower() for key in fields)


def _drop_unused_codes(model: schema.ModelT) -> None:
    operators = [operator for subgraph in model.subgraphs for operator in subgraph.operators or ()]
    used = sorted({operator.opcodeIndex for operator in operators})
    place = {old: new for new, old in enumerate(used)}
    for operator in operators:
        operator.opcodeIndex = place[operator.opcodeIndex]
    model.operatorCodes = [model.operatorCodes[old] for old in used]


def _drop_unused_buffers(model: schema.ModelT) -> None:
    """Keep the buffers that hold something and are used; buffer 0 is the empty one, by the schema's convention."""
    model.metadata = [entry for entry in model.metadata or () if entry.name in KEPT_METADATA]
    model.metadataBuffer = None
    holders = [*(tensor for subgraph in model.subgraphs for tensor in subgraph.tensors), *model.metadata]
    kept: dict[int, int] = {}
    for holder in holders:
        full = model.buffers[holder.buffer].data is not None and len(model.buffers[holder.buffer].data)
        holder.buffer = kept.setdefault(holder.buffer, len(kept) + 1) if full else 0
    empty = schema.BufferT()
    model.buffers = [empty, *(AlignedBuffer(model.buffers[old].data) for old in kept)]


def _fields(options: object) -> dict[str, object]:
    return vars(options) if options is not None else {}


def _ints(values: Iterable[int] | None) -> tuple[int, ...]:
    return () if values is None else tuple(int(i) for i in values)
