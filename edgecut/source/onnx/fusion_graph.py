"""A graph of nodes in which patterns are looked for and replaced."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edgecut.source.onnx.nodes import Node
from edgecut.source.onnx.tracing import Weights


@dataclass
class Graph:
    """Nodes that are being fused. constants: with those that fusing makes. keep: tensors that must stay."""

    nodes: dict[int, Node]
    constants: Weights
    shapes: Mapping[str, tuple[int, ...]]
    keep: frozenset[str]
    maker: dict[str, int] = field(default_factory=dict)
    readers: dict[str, list[int]] = field(default_factory=dict)

    def index(self) -> None:
        """Find makers and readers anew."""
        self.maker = {name: place for place, node in self.nodes.items() for name in node.outputs if name}
        self.readers = {}
        for place, node in self.nodes.items():
            for name in dict.fromkeys(node.inputs):
                self.readers.setdefault(name, []).append(place)

    def source(self, name: str, *operators: str) -> Node | None:
        """The node that makes a tensor, if it is one of these operators."""
        node = self.nodes.get(self.maker.get(name, -1))
        return node if node is not None and node.operator in operators else None

    def only(self, name: str, *operators: str) -> Node | None:
        """The same, where nothing else reads the tensor."""
        node = self.source(name, *operators)
        sole = len(self.readers.get(name, ())) == 1 and name not in self.keep
        return node if node is not None and sole else None

    def only_reader(self, name: str, *operators: str) -> Node | None:
        """The node that alone reads a tensor, if it is one of these operators."""
        readers = self.readers.get(name, ())
        node = self.nodes[readers[0]] if len(readers) == 1 and name not in self.keep else None
        return node if node is not None and node.operator in operators else None

    def number(self, name: str) -> float | None:
        """A constant of one element; None for another tensor."""
        if name not in self.constants or math.prod(self.constants.shape(name)) != 1:
            return None
        value = self.constants[name]
        return float(value.reshape(-1)[0]) if value.dtype.kind in "fiu" else None

    def add(self, name: str, value: np.ndarray) -> None:
        """A constant that fusing makes."""
        self.constants = self.constants.joined({name: value})

    def by_number(self, node: Node) -> tuple[str, float] | None:
        """(the tensor, the constant) of a node of two inputs, of which one is a number."""
        if len(node.inputs) != 2:
            return None
        for a, b in (node.inputs, node.inputs[::-1]):
            number = self.number(b)
            if number is not None and a not in self.constants:
                return a, number
        return None

    def replace(
        self, last: Node, operator: str, inputs: Sequence[str], gone: Sequence[Node], **attributes: Any
    ) -> None:
        """Put one node in the place of the last of several; those that nothing reads any more go."""
        parts = [node for node in (*gone, last)]
        covers = tuple(dict.fromkeys(name for node in sorted(parts, key=lambda n: n.place) for name in _covered(node)))
        module = _common([node.module for node in parts if node.module])
        self.nodes[last.place] = replace(
            last, operator=operator, inputs=tuple(inputs), attributes=attributes, covers=covers, module=module
        )
        self.index()
        for node in sorted(gone, key=lambda n: -n.place):
            if node.place in self.nodes and not any(self.readers.get(n) or n in self.keep for n in node.outputs):
                del self.nodes[node.place]
                self.index()


def _covered(node: Node) -> tuple[str, ...]:
    return node.covers or (node.name,)


def _common(modules: Sequence[str]) -> str:
    """The path of the module that holds all of these."""
    paths = [module.split(".") for module in modules]
    shared = 0
    while paths and all(len(p) > shared and p[shared] == paths[0][shared] for p in paths):
        shared += 1
    return ".".join(paths[0][:shared]) if paths else ""
