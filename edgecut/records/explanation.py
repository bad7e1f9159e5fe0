"""What quantization did to a model, layer by layer, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from edgecut.records.document import Record

Cause = Literal[
    "range outlier",
    "biased mean",
    "unequal channels",
    "uncalibrated",
    "normalized twice",
    "wrong preprocess",
    "operator left in float",
]


class LayerError(Record):
    """One layer of a quantized file against the source model's own values on the same images.

    name: in the source model's terms. sqnr: 10 log10(sum value^2 / sum error^2) in dB; sqnr_varying: the same with the
    values' variance in each channel as the signal. mean_shift: the root mean square of the channels' mean errors, in
    standard deviations of the layer; shift_share: the share of the error that is such a constant shift.
    worst_channel, worst_shift: the channel that is shifted most, and by how many of its own standard deviations (None
    without a channel that varies). saturation: the fraction of values beyond the range; clipping: their squared
    error over that of rounding. range: what the file's scale can say; used: what the source's values are; both None for
    a tensor in float. use: used over range. narrow: the fraction of channels that get less than 16 of the 256 steps.
    added: the layer's share of all the error that the layers add, each run on the source's values as its inputs' scales
    round them, against the float operator on the same; None for one that can't be run alone. reason: a suspected cause
    in words with its figure, "" if none. nodes: what the layer is in the .onnx file that the source was imported from.
    """

    name: str
    operator: str
    dtype: str
    sqnr: float
    sqnr_varying: float
    mean_shift: float
    shift_share: float
    worst_channel: int | None = None
    worst_shift: float = 0.0
    saturation: float = 0.0
    clipping: float = 0.0
    range: tuple[float, float] | None = None
    used: tuple[float, float]
    use: float | None = None
    narrow: float = 0.0
    added: float | None = None
    cause: Cause | None = None
    reason: str = ""
    nodes: tuple[str, ...] = ()


class Suspicion(Record):
    """A cause that explains more than one layer, or the whole. figure: the number that supports it."""

    cause: Cause
    layer: str | None = None
    figure: float
    sentence: str


class Explanation(Record):
    """A quantized file explained.

    collapses_at: the first layer with sqnr_varying below 10 dB; shift_starts_at: the first whose error is mostly a
    mean shift that counts. in_float: operators of the file that compute in float, by the source's names.
    unmatched: operators of the file that put out what no layer of the source does, such as those inside a layer; they
    are compared with nothing.
    """

    artifact: str
    images: int
    layers: tuple[LayerError, ...]
    collapses_at: str | None = None
    shift_starts_at: str | None = None
    suspicions: tuple[Suspicion, ...] = ()
    in_float: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()

    def with_nodes(self, nodes: Mapping[str, tuple[str, ...]]) -> Explanation:
        """The same with the nodes that each layer is of. nodes: of an imported model, by the layer's name."""
        layers = [layer.model_copy(update={"nodes": nodes.get(layer.name, ())}) for layer in self.layers]
        return self.model_copy(update={"layers": tuple(layers)})
