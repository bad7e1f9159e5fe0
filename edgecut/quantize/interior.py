"""The values inside a .tflite file while it runs, by LiteRT's own kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from edgecut.images.mapped import batches
from edgecut.images.rows import columns
from edgecut.quantize.grids import real_values
from edgecut.records.progress import Advance
from edgecut.runtime.session import Session
from edgecut.tflite.cut import Parts
from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph, parse


class Pictures:
    """Images (n, ...), float32, made of what the device feeds a few at a time, so that memory stays near the bytes'."""

    def __init__(self, pixels: np.ndarray, to_input: Callable[[np.ndarray], np.ndarray]) -> None:
        """to_input: makes what the model takes of some of the pixels (m, ...)."""
        self.pixels = pixels
        self.to_input = to_input

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, part: slice) -> Pictures:
        return Pictures(self.pixels[part], self.to_input)

    def __iter__(self) -> Iterator[np.ndarray]:
        for batch in batches(self.pixels, _CHUNK):
            yield from self.to_input(batch)


Images = np.ndarray | Pictures
_CHUNK = 32
_MESSAGE_BYTES = 1 << 23


class Interior:
    """A file loaded so that every tensor can be read after a run. Variables start anew with each run.

    Delegates are left out: a tensor inside one isn't there to be read.
    """

    def __init__(self, content: bytes, graph: TfliteGraph | None = None, *, whole: bool = True) -> None:
        """whole: keep all tensors, not only inputs and outputs. Raises RunError if LiteRT refuses the file."""
        self.graph = graph or parse(content, "model")
        self._session = Session(content, "tflite", "model", kernels="plain" if whole else "default", whole=whole)

    def run(self, feeds: Sequence[np.ndarray]) -> None:
        """Run once. feeds: for each input of the graph an array with the batch axis, in the tensor's own dtype."""
        self._session.run(dict(zip(self.graph.inputs, feeds, strict=True)), ())

    def run_each(self, rows: Sequence[Sequence[np.ndarray]]) -> Iterator[tuple[np.ndarray, ...]]:
        """What the graph puts out for each row of feeds, as it holds it, with the batch axis; a few in one message."""
        step = max(1, _MESSAGE_BYTES // max(1, sum(x.nbytes for x in rows[0])))
        for first in range(0, len(rows), step):
            stacked = map(np.stack, zip(*rows[first : first + step], strict=True))
            feeds = dict(zip(self.graph.inputs, stacked, strict=True))
            yield from zip(*self._session.run_each(feeds, self.graph.outputs), strict=True)

    def raw(self, index: int) -> np.ndarray:
        """A copy of a tensor's elements after the last run, with the batch axis."""
        return self._session.read([index])[0]

    def real(self, index: int) -> np.ndarray:
        """What a tensor's elements mean after the last run, float32, with the batch axis."""
        return real_values(self.raw(index), self.graph.tensors[index])


def outputs_of(content: bytes, images: Images, advance: Advance | None = None) -> tuple[np.ndarray, ...]:
    """Every output of a file over images (n, ...), float32, as its default runtime gives it."""
    rows: list[tuple[np.ndarray, ...]] = []
    for outputs in each_output(content, images):
        rows.append(outputs)
        if advance is not None:
            advance(1)
    return tuple(np.concatenate(column) for column in zip(*rows, strict=True))


def each_output(content: bytes, images: Images) -> Iterator[tuple[np.ndarray, ...]]:
    """The outputs of a file, one image of (n, ...) after the other, with the batch axis."""
    interior = Interior(content, whole=False)
    graph = interior.graph
    for feeds in quantized_rows(images, graph):
        interior.run(feeds)
        yield tuple(interior.real(index) for index in graph.outputs)


def run_operator(
    parts: Parts, operator: Operator, values: Mapping[int, Sequence[np.ndarray]]
) -> dict[int, list[np.ndarray]]:
    """What one operator of a file puts out for the values of its inputs, in the file's own integers."""
    fed = tuple(dict.fromkeys(i for i in operator.inputs if i in values))
    if not fed:
        return {}
    runner = Interior(parts.cut(operator.outputs, fed), whole=False)
    rows = list(zip(*(values[i] for i in fed), strict=True))
    results = zip(*runner.run_each(rows), strict=True)
    return dict(zip(operator.outputs, map(list, results), strict=True))


def quantized_rows(images: Images, graph: TfliteGraph) -> Iterator[tuple[np.ndarray, ...]]:
    """The images one by one with a batch axis, for each input of a file in its own dtype and on its grid.

    images: (n, ...), or rows (images/rows.py) for several inputs.
    """
    tensors = [graph.tensors[index] for index in graph.inputs]
    for image in images:
        row = columns(np.asarray(image)[None])
        yield tuple(to_grid(values, tensor) for values, tensor in zip(row, tensors, strict=True))


def to_grid(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Real values as a tensor holds them, rounded to its grid (halves away from zero) and clipped."""
    dtype = np.dtype(tensor.dtype)
    if dtype.kind not in "iu":
        return values.astype(dtype)
    scale = np.float32(tensor.scales[0] if tensor.scales else 1.0)
    zero = tensor.zero_points[0] if tensor.zero_points else 0
    scaled = values.astype(np.float32) / scale
    # In float64, since 0.49999997 + 0.5 is 1 in float32.
    rounded = np.trunc(scaled.astype(np.float64) + np.copysign(0.5, scaled)) + zero
    limits = np.iinfo(dtype)
    return np.clip(rounded, limits.min, limits.max).astype(dtype)
