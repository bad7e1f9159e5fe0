"""The operators of a SavedModel, read as data: TensorFlow runs some of them when it only loads the folder."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgecut.errors import SourceError
from edgecut.graph.saved_operators import OPERATORS, SAVER
from edgecut.records.protobuf import fields

# Fields of the messages in tensorflow/core/protobuf/saved_model.proto, meta_graph.proto, saved_object_graph.proto and
# tensorflow/core/framework/graph.proto, function.proto, node_def.proto, op_def.proto.
_META_GRAPHS, _GRAPH, _OBJECTS = 2, 2, 7
_NODES, _LIBRARY, _FUNCTIONS, _GRADIENTS = 1, 2, 1, 2
_SIGNATURE, _SIGNATURE_NAME, _BODY = 1, 1, 3
_NODE_NAME, _OPERATOR = 1, 2
_MOST_SAVERS = 16  # functions of a saver; there are two for a model


@dataclass(frozen=True)
class _Graph:
    """nodes: (name, operator) of the graph itself. functions: name -> its definition, and the (name, operator)s in it.

    rest: what may name a function beside the functions.
    """

    nodes: tuple[tuple[str, str], ...]
    functions: Mapping[str, tuple[memoryview, tuple[tuple[str, str], ...]]]
    rest: tuple[memoryview, ...]
    has_objects: bool


def operator_fault(folder: Path) -> str | None:
    """What a SavedModel has that computes on more than its own tensors, as the end of a sentence; None for nothing.

    Operators that nobody has looked at count, such as those of other packages. Raises SourceError for a damaged file.
    """
    path = folder / "saved_model.pb"
    if not path.stat().st_size:
        raise SourceError(f"{path}: is empty; fetch or save it again")
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _fault(content[:])
    except (ValueError, RecursionError) as exc:
        raise SourceError(f"{path}: is truncated or damaged ({exc}); fetch or save it again") from exc


def _fault(content: bytes) -> str | None:
    graphs = [_graph(meta) for number, meta in fields(content) if number == _META_GRAPHS]
    # One graph with objects is loaded by its functions; TensorFlow runs nodes of the graph itself of another.
    by_functions = len(graphs) == 1 and graphs[0].has_objects
    for graph in graphs:
        known = OPERATORS | graph.functions.keys()
        for name, operator in graph.nodes:
            if operator not in known and not (by_functions and operator in SAVER):
                return _sentence(f"its node {name!r}", operator)
        savers = {name for name, (_, nodes) in graph.functions.items() if any(op in SAVER for _, op in nodes)}
        if len(savers) > _MOST_SAVERS:
            return f"{len(savers)} of its functions read or write files"
        for function, (_, nodes) in graph.functions.items():
            for name, operator in nodes:
                if operator in known or (
                    by_functions and operator in SAVER and not _is_named_elsewhere(function, graph)
                ):
                    continue
                return _sentence(f"{name!r} of its function {function!r}", operator)
    return None


def _sentence(where: str, operator: str) -> str:
    return f"{where} is the operator {operator}, which may run or reach something outside of the model"


def _is_named_elsewhere(function: str, graph: _Graph) -> bool:
    """Whether a function's name occurs in another function or beside them all: something might call it."""
    others = [definition for name, (definition, _) in graph.functions.items() if name != function]
    return any(function.encode() in bytes(part) for part in (*others, *graph.rest))


def _graph(meta: memoryview) -> _Graph:
    """A MetaGraphDef's graph. A field that occurs several times is one to TensorFlow, too."""
    nodes: list[tuple[str, str]] = []
    functions: dict[str, tuple[memoryview, tuple[tuple[str, str], ...]]] = {}
    rest = [part for number, part in fields(meta) if number == _OBJECTS]
    has_objects = bool(rest)
    for part in (part for number, part in fields(meta) if number == _GRAPH):
        for number, piece in fields(part):
            if number == _NODES:
                nodes += _node(piece)
            elif number == _LIBRARY:
                for kind, definition in fields(piece):
                    if kind == _FUNCTIONS:
                        name = _name(definition)
                        if name in functions:
                            raise ValueError(f"it has two functions {name!r}")
                        inside = tuple(node for k, body in fields(definition) if k == _BODY for node in _node(body))
                        functions[name] = (definition, inside)
                    elif kind == _GRADIENTS:
                        rest.append(definition)
    return _Graph(tuple(nodes), functions, tuple(rest), has_objects)


def _node(message: memoryview) -> Iterator[tuple[str, str]]:
    """(name, operator) of a NodeDef; of one that names several operators, each."""
    entries = list(fields(message))
    name = next((_text(part) for number, part in entries if number == _NODE_NAME), "")
    yield from ((name, _text(part)) for number, part in entries if number == _OPERATOR)


def _name(definition: memoryview) -> str:
    names = [
        _text(part)
        for number, signature in fields(definition)
        if number == _SIGNATURE
        for key, part in fields(signature)
        if key == _SIGNATURE_NAME
    ]
    if len(names) != 1:
        raise ValueError(f"a function has {len(names)} names")
    return names[0]


def _text(part: memoryview) -> str:
    return bytes(part).decode(errors="surrogateescape")
