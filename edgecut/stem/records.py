"""What a stem edit is made from, and what it results in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import keras
import numpy as np

from edgecut.graph.calls import Calls, Tensor
from edgecut.records.facts import Cost
from edgecut.records.proof import StemProof
from edgecut.records.recipe import Preprocess
from edgecut.stem.channels import LinearMap
from edgecut.stem.construct import Device


@dataclass(frozen=True)
class StemResult:
    """A model with another input, and the proof that it sees what its source saw.

    construction: how the edit was made: "none", "kernel sum", "kernel fold", "bias fold", "constant padding", "ones
    channel", "1x1 convolution" or "concatenate"; with another size also "reuse", "adjoint", "stride", "nearest fold",
    "average fold", "upsampling", "bilinear upsampling", "average pooling" or "fit".
    proof: the result on device pixels against the source on the equivalent input. What isn't exact by construction
    ("stride", "fit") has exact False, and its error as measured. With images also images, image_error and
    top1_agreement, of tags tag_agreement: the result on the device's pictures against the source on the same in colour
    at its own size, as in proof.prove_on_images.
    """

    model: keras.Model
    construction: str
    proof: StemProof
    cost: Cost
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures, and how a device gives them to a model.

    images: (n, height, width, 3 or 1), bytes. preprocess: what the source was trained on. order: of the device's
    channels, None for the source's own. raw: whether the device gives 0..255.
    """

    images: np.ndarray
    preprocess: Preprocess
    order: str | None
    raw: bool

    def chosen(self, images: np.ndarray) -> Pictures:
        """Other pictures, given in the same way."""
        return replace(self, images=images)


@dataclass(frozen=True)
class FitRequest:
    """The first convolution that a fit is to give, as stem() takes it; None: the source's, as far as the sizes let."""

    size: tuple[int, int] | None = None
    kernel: int | tuple[int, int] | None = None
    stride: int | tuple[int, int] | None = None
    filters: int | None = None
    batch_norm: bool = False
    constant_padding: bool = True


@dataclass(frozen=True, eq=False)
class Edit:
    """What a stem edit is made from.

    linear: what the source takes, of what the device feeds, at the source's resolution. device: its picture. fold:
    whether everything affine before and behind the first operator goes into it.
    """

    graph: Calls
    source: Tensor
    linear: LinearMap
    device: Device
    channels: int
    fold: bool

    @property
    def runs_at(self) -> tuple[int | None, int | None]:
        """(height, width) at which the source's own layers run."""
        if self.device.mode == "reuse":
            return self.device.size
        height, width = self.source.shape[1:3]
        return height, width
