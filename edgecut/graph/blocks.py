"""Replacement blocks and inserted layers from a line of text."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import keras

from edgecut.errors import GraphError
from edgecut.graph.callgraph import Tensor
from edgecut.records.nearest import closest

Block = Callable[..., keras.KerasTensor]

GRAMMAR = (
    "conv:filters,kernel[,stride], separable:filters,kernel[,stride], depthwise:kernel[,stride], dense:units, bn, "
    "relu, relu6, identity, several in a row with '/', branch:a+b (side by side, concatenated), sum:a+b (added), or a "
    "Keras layer such as Dropout:rate=0.2"
)


def block(text: str, like: Tensor | keras.KerasTensor, *, seed: int = 0) -> Block:
    """A function on one Keras tensor: the block that a text describes.

    like: a tensor of the rank that the block is given; it chooses between 1-D (batch, steps, channels) and 2-D
    convolutions. Convolutions are padded to keep the size ("same") and, as dense, followed by nothing: write
    "conv:32,3/bn/relu" for the usual three. "branch:a+b" concatenates along the channels, "sum:a+b" adds. Weights
    start from seeded values. A name in CamelCase is a Keras layer with its arguments: "Activation:activation='relu'".
    Raises GraphError, with the grammar, for a text that says no block.
    """
    maker = _Maker(text, len(like.shape), seed)
    return maker.row(text)


class _Maker:
    """Blocks for tensors of one rank; each weight gets a seed of its own."""

    def __init__(self, text: str, rank: int, seed: int) -> None:
        self.text = text
        self.rank = rank
        self.seed = seed

    def row(self, text: str) -> Block:
        word, colon, rest = text.partition(":")
        if word in _MERGES and colon:
            branches = [self.row(part) for part in _split(rest, "+")]
            if len(branches) < 2:
                raise self._fault(f"{text!r} names {len(branches)} branches; two or more joined by '+' are expected")
            return lambda x: _MERGES[word]()([_applied(branch, x) for branch in branches])
        steps = [self.step(part) for part in text.split("/")]
        return lambda x: _chained(steps, x)

    def step(self, text: str) -> Block:
        word, _, rest = text.strip().partition(":")
        if word[:1].isupper():
            return self._keras_layer(word, rest)
        if word not in _STEPS:
            raise self._fault(f"no block {word!r}{closest(word, [*_STEPS, *_MERGES])}")
        numbers, make = _STEPS[word]
        values = self._numbers(text, rest)
        least, most = numbers
        if not least <= len(values) <= most:
            raise self._fault(f"{text!r} has {len(values)} numbers")
        return make(self, *values)

    def initializer(self) -> keras.Initializer:
        self.seed += 1
        return keras.initializers.GlorotUniform(seed=self.seed - 1)

    def by_rank(self, name: str) -> type[keras.Layer]:
        """The 1-D or 2-D class of a layer. Raises GraphError for a tensor of another rank."""
        if self.rank not in {3, 4}:
            raise self._fault(f"{name} needs (batch, steps, channels) or (batch, height, width, channels)")
        return getattr(keras.layers, f"{name}{self.rank - 2}D")

    def _numbers(self, text: str, rest: str) -> list[int]:
        words = [word.strip() for word in rest.split(",")] if rest else []
        if not all(word.isdigit() and int(word) > 0 for word in words):
            raise self._fault(f"{text!r} has something else than whole numbers above 0")
        return [int(word) for word in words]

    def _keras_layer(self, name: str, rest: str) -> Block:
        kind = getattr(keras.layers, name, None)
        if not (inspect.isclass(kind) and issubclass(kind, keras.Layer)):
            names = [n for n, value in vars(keras.layers).items() if inspect.isclass(value)]
            raise self._fault(f"Keras has no layer {name!r}{closest(name, names)}")
        try:
            return cast(Block, kind(**_arguments(rest)))
        except (TypeError, ValueError, SyntaxError) as exc:
            raise self._fault(f"{name} doesn't take {rest!r} ({str(exc).splitlines()[0]})") from exc

    def _fault(self, what: str) -> GraphError:
        return GraphError(f"block {self.text!r}: {what}; expected: {GRAMMAR}")


def _conv(maker: _Maker, filters: int, kernel: int, stride: int = 1) -> keras.Layer:
    kind = maker.by_rank("Conv")
    return kind(filters, kernel, strides=stride, padding="same", kernel_initializer=maker.initializer())


def _separable(maker: _Maker, filters: int, kernel: int, stride: int = 1) -> keras.Layer:
    return maker.by_rank("SeparableConv")(
        filters,
        kernel,
        strides=stride,
        padding="same",
        depthwise_initializer=maker.initializer(),
        pointwise_initializer=maker.initializer(),
    )


def _depthwise(maker: _Maker, kernel: int, stride: int = 1) -> keras.Layer:
    kind = maker.by_rank("DepthwiseConv")
    return kind(kernel, strides=stride, padding="same", depthwise_initializer=maker.initializer())


def _dense(maker: _Maker, units: int) -> keras.Layer:
    return keras.layers.Dense(units, kernel_initializer=maker.initializer())


_STEPS: Mapping[str, tuple[tuple[int, int], Callable[..., Block]]] = {
    "conv": ((2, 3), _conv),
    "separable": ((2, 3), _separable),
    "depthwise": ((1, 2), _depthwise),
    "dense": ((1, 1), _dense),
    "bn": ((0, 0), lambda maker: keras.layers.BatchNormalization()),
    "relu": ((0, 0), lambda maker: keras.layers.ReLU()),
    "relu6": ((0, 0), lambda maker: keras.layers.ReLU(6.0)),
    "identity": ((0, 0), lambda maker: lambda x: x),
}
_MERGES: Mapping[str, Callable[[], keras.Layer]] = {"branch": keras.layers.Concatenate, "sum": keras.layers.Add}


def _split(text: str, sign: str) -> list[str]:
    return [part for part in text.split(sign) if part]


def _chained(steps: Sequence[Block], x: keras.KerasTensor) -> keras.KerasTensor:
    for step in steps:
        x = step(x)
    return x


def _applied(branch: Block, x: keras.KerasTensor) -> keras.KerasTensor:
    return branch(x)


def _arguments(text: str) -> dict[str, object]:
    """{"rate": 0.2} from "rate=0.2": literals; a bare word is text. Raises SyntaxError where it isn't that."""
    if not text:
        return {}
    call = ast.parse(f"f({text})", mode="eval").body
    if not isinstance(call, ast.Call) or call.args or any(key.arg is None for key in call.keywords):
        raise SyntaxError("name=value is expected")
    return {str(key.arg): _literal(key.value) for key in call.keywords}


def _literal(node: ast.expr) -> object:
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)
