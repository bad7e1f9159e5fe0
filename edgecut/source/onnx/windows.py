"""Windows that slide: the padding, strides and dilations of a Conv or a pool, as ONNX says them in a dozen ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from edgecut.source.onnx.building import Site, Unsupported

PADDINGS = (keras.layers.ZeroPadding1D, keras.layers.ZeroPadding2D, keras.layers.ZeroPadding3D)
CROPPINGS = (keras.layers.Cropping1D, keras.layers.Cropping2D, keras.layers.Cropping3D)


@dataclass(frozen=True)
class Window:
    """sizes, out: spatial, of input and output. pads: (before, after) by axis, what ceil_mode reads beyond included.
    padding: what is left to the layer, "same" or "valid".
    """

    sizes: tuple[int, ...]
    out: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    padding: str = "valid"

    @property
    def reach(self) -> tuple[int, ...]:
        """The extent of the kernel with its dilation."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def is_padded(self) -> bool:
        """Whether anything is padded."""
        return any(before > 0 or after > 0 for before, after in self.pads)

    @property
    def is_same(self) -> bool:
        """Whether the padding is TensorFlow's "same"."""
        for size, out, reach, stride, pad in zip(
            self.sizes, self.out, self.reach, self.strides, self.pads, strict=True
        ):
            total = max((-(-size // stride) - 1) * stride + reach - size, 0)
            if out != -(-size // stride) or pad[0] != total // 2 or max(pad[1], 0) != total - total // 2:
                return False
        return True


def window(site: Site, sizes: Sequence[int], kernel: Sequence[int], out: Sequence[int]) -> Window:
    """The window of a node that takes spatial sizes and gives others.

    Explicit padding behind is what the output reaches, which a stride may leave short and ceil_mode may exceed.
    """
    rank = len(kernel)
    strides = tuple(site.attribute("strides", [1] * rank))
    dilations = tuple(site.attribute("dilations", [1] * rank))
    auto = site.attribute("auto_pad", "NOTSET")
    explicit = site.attribute("pads", [0] * 2 * rank) or [0] * 2 * rank
    pads = []
    for k in range(rank):
        reach = (kernel[k] - 1) * dilations[k] + 1
        needed = (out[k] - 1) * strides[k] + reach - sizes[k]
        if auto in {"SAME_UPPER", "SAME_LOWER"}:
            total = max(needed, 0)
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
        elif auto in {"NOTSET", "VALID", ""}:
            before = 0 if auto == "VALID" else explicit[k]
        else:
            raise Unsupported(f"has auto_pad {auto!r}, which ONNX doesn't know")
        pads.append((before, needed - before))
    return Window(tuple(sizes), tuple(out), tuple(kernel), strides, dilations, tuple(pads))


def padded(site: Site, x: Any, win: Window) -> tuple[Any, Window]:
    """The input of a window with zeros around it, and the window with the padding that is left to the layer."""
    if win.is_same:
        return x, replace(win, padding="same")
    return pad(site, x, win.pads), win


def pad(site: Site, x: Any, pads: Sequence[tuple[int, int]]) -> Any:
    """(batch, ..., channels) with zeros around it; negative amounts crop. A tail that no window reads stays."""
    adds = [(max(a, 0), max(b, 0)) for a, b in pads]
    cuts = [(max(-a, 0), 0) for a, _ in pads]
    rank = len(pads)
    if any(map(any, cuts)):
        x = site.call(site.layer(CROPPINGS[rank - 1], "crop", cropping=cuts[0] if rank == 1 else tuple(cuts)), x)
    if any(map(any, adds)):
        amount = adds[0] if rank == 1 else tuple(adds)
        x = site.call(site.layer(PADDINGS[rank - 1], "pad", padding=amount), x)
    return x


def crop(site: Site, x: Any, cuts: Sequence[tuple[int, int]]) -> Any:
    """(batch, ..., channels) without what is cut off; negative amounts add zeros."""
    less = [(max(a, 0), max(b, 0)) for a, b in cuts]
    if any(map(any, less)):
        amount = less[0] if len(cuts) == 1 else tuple(less)
        x = site.call(site.layer(CROPPINGS[len(cuts) - 1], "crop", cropping=amount), x)
    return pad(site, x, [(max(-a, 0), max(-b, 0)) for a, b in cuts])
