"""What the time of a .tflite file is made of: amounts of work and of traffic, each to be priced on a machine.

The amounts follow how XNNPACK, LiteRT's delegate for CPUs, computes: matrix products in tiles of rows and columns, so
that what doesn't fill a tile costs as if it did; depthwise kernels of 9 or of 25 taps; zero padding that melts into
the convolution behind it; and weights and activations that come from where the file's size leaves them.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph
from edgecut.tflite.kinds import CONVOLUTIONS

Terms = dict[str, float]

# Bytes between which a working set outgrows the first cache, the second, and all caches. Machines differ: the ranges
# are wide, and what a byte costs beyond them is the fit's to find.
INNER, NEAR, LARGE, FAR = (2.0e4, 6.4e4), (0.6e6, 1.6e6), (4.0e6, 12.0e6), (12.0e6, 40.0e6)
STORES = {"near": NEAR, "large": LARGE, "far": FAR}
# An L1 cache's way: addresses so far apart, or multiples, meet in one set (32 KiB in 8 ways, 64 KiB in 16).
WAY_BYTES, SETS = 4096, 64
SMALL_TAPS, LARGE_TAPS = 9, 25

# Operators that cost alike share their prices.
ALIKE = {"RELU6": "RELU", "SUB": "ADD", "SUM": "MEAN", "MINIMUM": "MAXIMUM"}
VALID = 1


@dataclass(frozen=True)
class Tiles:
    """The tile of a matrix product's kernel: rows and columns of the result, and channels taken in one step."""

    rows: int
    columns: int
    depth: int


@dataclass(frozen=True)
class _Part:
    """One operator with what its amounts are counted from. shares: of the file that outgrow each of STORES."""

    operator: Operator
    fed: tuple[Tensor, ...]
    constants: tuple[Tensor, ...]
    made: Tensor
    tiles: Tiles
    shares: dict[str, float]

    @property
    def moved(self) -> int:
        """The bytes of the activations that it reads and writes."""
        return sum(t.size_bytes for t in self.fed) + self.made.size_bytes

    @property
    def kernel(self) -> Tensor | None:
        """The weights: the first tensor behind the image, or before it, that has rows and columns."""
        return next((t for t in (*self.constants, *self.fed[1:]) if len(t.shape) > 1 and t.elements), None)

    @property
    def held(self) -> int:
        """The bytes of its constants."""
        return sum(t.size_bytes for t in self.constants)

    @property
    def beyond(self) -> float:
        """The bytes of activations that its own working set leaves no room for in the nearest caches."""
        return self.moved * _ramp(self.moved + self.held, NEAR)


def terms(graph: TfliteGraph, tiles: Tiles) -> Terms:
    """Amount by "group.term"; every operator of the graph adds to the groups of its kind."""
    found: Counter[str] = Counter({"graph.one": 1.0})
    fused = _melted_padding(graph)
    size = _footprint(graph)
    shares = {name: _ramp(size, ends) for name, ends in STORES.items()}
    for operator in graph.operators:
        if not all(graph.tensors[i].elements for i in operator.outputs[:1]) or not operator.outputs:
            continue
        part = _part(graph, operator, tiles, shares)
        name = "PAD_FUSED" if operator.index in fused else group_of(operator)
        own = _COUNTS.get(name, _element_wise)(part)
        found.update({f"{name}.{key}" if "." not in key else key: float(amount) for key, amount in own.items()})
        if name not in ("RESHAPE", "PAD_FUSED") and "vector.one" not in own:
            # One price for all bytes from afar: few files tell those of weights and of activations apart.
            found.update({f"memory.{store}": (part.held + part.moved) * share for store, share in shares.items()})
    return {key: amount for key, amount in found.items() if amount}


def group_of(operator: Operator) -> str:
    """The group whose prices an operator is charged."""
    return ALIKE.get(operator.name, operator.name)


def _part(graph: TfliteGraph, operator: Operator, tiles: Tiles, shares: dict[str, float]) -> _Part:
    tensors = [graph.tensors[i] for i in operator.inputs if i >= 0]
    fed = tuple(t for t in tensors if not t.is_constant)
    constants = tuple(t for t in tensors if t.is_constant)
    return _Part(operator, fed, constants, graph.tensors[operator.outputs[0]], tiles, shares)


def _matrix_product(part: _Part) -> Terms:
    """CONV_2D and FULLY_CONNECTED: one row of the result is another kernel than many."""
    if part.kernel is None:
        return _element_wise(part)
    kernel = part.kernel
    filters, channels = kernel.shape[0], kernel.shape[-1]
    taps, rows = math.prod(kernel.shape[1:-1]), part.made.elements // filters
    columns = _up(filters, part.tiles.columns)
    depth = taps * _up(channels, part.tiles.depth)
    if rows == 1:
        # Each weight is used once, so that nothing hides what it takes to get it.
        return {
            "vector.one": 1,
            "vector.macs": columns * depth,
            "vector.columns": columns,
            **{f"vector.{store}": part.held * share for store, share in part.shares.items()},
        }
    passes = -(-rows // part.tiles.rows)
    streamed = passes * columns * depth * (part.made.size_bytes // part.made.elements)
    panel = streamed / passes
    found = {
        "matrix.macs": passes * columns * depth,
        "matrix.results": passes * columns,
        "matrix.streamed_1": streamed * _ramp(panel, INNER),
        "matrix.streamed_2": streamed * _ramp(panel, NEAR),
        "matrix.beyond": part.beyond,
    }
    if taps == 1 and part.operator.options.get("strideW", 1) == 1:
        return {**found, "pointwise.one": 1}
    pointers = {"window.pointers": passes * (columns // part.tiles.columns) * taps, "window.rows": passes * taps}
    return {**found, "window.one": 1, **pointers}


def _depthwise(part: _Part) -> Terms:
    if part.kernel is None or len(part.kernel.shape) != 4:
        return _element_wise(part)
    _, height, width, channels = part.kernel.shape
    taps, pixels = height * width, part.made.elements // channels
    across = _up(channels, part.tiles.columns)
    size = part.made.size_bytes // part.made.elements
    counted = next((most for most in (SMALL_TAPS, LARGE_TAPS) if taps <= most), taps)
    group = {SMALL_TAPS: "depthwise_9", LARGE_TAPS: "depthwise_25"}.get(counted, "depthwise_more")
    work = pixels * across * counted
    found: Terms = {f"{group}.work": work, f"{group}.taps": pixels * counted, f"{group}.elements": pixels * across}
    if group == "depthwise_more":
        return {**found, f"{group}.one": 1}
    # Neighbouring pixels whose distance is a multiple of a way's part push each other out of the cache.
    sets = max(1, min(SETS, WAY_BYTES // math.gcd(channels * size, WAY_BYTES)))
    clash = min(1.0, max(0.0, taps / sets - 5) / 5)
    spill = _ramp(2 * across * size * counted, INNER)
    return {
        **found,
        "depthwise.one": 1,
        "depthwise.clash": work * clash,
        "depthwise.spill": work * spill,
        "matrix.beyond": part.beyond,
    }


def _transposed(part: _Part) -> Terms:
    if part.kernel is None or len(part.kernel.shape) != 4:
        return _element_wise(part)
    filters, height, width, channels = part.kernel.shape
    rows = _up(part.fed[-1].elements // channels, part.tiles.rows)
    results = rows * _up(filters, part.tiles.columns) * height * width
    return {"one": 1, "macs": results * _up(channels, part.tiles.depth), "results": results}


def _binary(part: _Part) -> Terms:
    found: Terms = {"one": 1, "elements": part.made.elements, "element_wise.beyond": part.beyond}
    smallest = min((t.elements for t in (*part.fed, *part.constants)), default=0)
    if 1 < smallest < part.made.elements:
        channels = part.made.shape[-1]
        found |= {"broadcast.rows": part.made.elements // channels, "broadcast.elements": part.made.elements}
    return found


def _pool(part: _Part) -> Terms:
    options, fed = part.operator.options, sum(t.elements for t in part.fed)
    # A graph of layers, of which no file is written yet, doesn't tell the window: then it is as if none overlapped.
    taps = options.get("filterHeight", 1) * options.get("filterWidth", 1) or 1
    taps = taps if "filterHeight" in options else max(1, fed // part.made.elements)
    channels = part.made.shape[-1]
    pixels = part.made.elements // channels
    return {
        "one": 1,
        "work": _up(channels, part.tiles.columns) * pixels * taps,
        "taps": pixels * taps,
        "elements": part.made.elements,
        "element_wise.beyond": part.beyond,
    }


def _reduction(part: _Part) -> Terms:
    return {
        "one": 1,
        "elements": sum(t.elements for t in part.fed),
        "results": part.made.elements,
        "element_wise.beyond": part.beyond,
    }


def _copied(part: _Part) -> Terms:
    rows = part.made.elements // (part.made.shape or (1,))[-1]
    return {
        "one": len(part.fed),
        "elements": part.made.elements,
        "rows": rows * len(part.fed),
        "copy.beyond": part.beyond,
    }


def _element_wise(part: _Part) -> Terms:
    elements = max([part.made.elements, *(t.elements for t in part.fed)])
    return {"one": 1, "elements": elements, "element_wise.beyond": part.beyond}


_COUNTS: dict[str, Callable[[_Part], Terms]] = {
    "CONV_2D": _matrix_product,
    "FULLY_CONNECTED": _matrix_product,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    "ADD": _binary,
    "MUL": _binary,
    "DIV": _binary,
    "MAXIMUM": _binary,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _reduction,
    "CONCATENATION": _copied,
    "PAD": _copied,
    "PAD_FUSED": _copied,
    "STRIDED_SLICE": _copied,
}


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _ramp(size: float, ends: tuple[float, float]) -> float:
    """0 up to the first end, 1 from the second on, even in the logarithm between them."""
    return min(1.0, max(0.0, math.log(max(size, 1.0) / ends[0]) / math.log(ends[1] / ends[0])))


def _footprint(graph: TfliteGraph) -> int:
    """The bytes that one inference touches: all constants, and the largest operator's activations."""
    held = sum(t.size_bytes for t in graph.tensors if t.is_constant)
    live = {t.index: 0 if t.is_constant else t.size_bytes for t in graph.tensors} | {-1: 0}
    return held + max((sum(live[i] for i in (*op.inputs, *op.outputs)) for op in graph.operators), default=0)


def _melted_padding(graph: TfliteGraph) -> frozenset[int]:
    """The PADs that XNNPACK makes part of the one convolution behind them (its subgraph.c, "fuse constant pad")."""
    readers: defaultdict[int, list[Operator]] = defaultdict(list)
    for operator in graph.operators:
        for index in operator.inputs:
            readers[index].append(operator)
    return frozenset(
        op.index
        for op in graph.operators
        if op.name == "PAD"
        and op.outputs[0] not in graph.outputs
        and len(readers[op.outputs[0]]) == 1
        and readers[op.outputs[0]][0].name in CONVOLUTIONS
        and readers[op.outputs[0]][0].options.get("padding") == VALID
    )
