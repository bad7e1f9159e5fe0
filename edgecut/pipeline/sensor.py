"""What a device's sensor feeds against what a build's files will take, before there are any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecut.bench.sensor import mismatch
from edgecut.errors import SourceError
from edgecut.graph.saved import config_of
from edgecut.images.device import CHANNELS
from edgecut.lowering.saved_shapes import picture_shape
from edgecut.pipeline.model_faults import planned_arrays
from edgecut.pipeline.operators import Files
from edgecut.records.artifact import TensorSpec
from edgecut.records.precision import PRECISIONS
from edgecut.records.profile import Profile
from edgecut.records.recipe import Recipe


def sensor_notes(recipe: Recipe, files: Files, profiles: Sequence[Profile]) -> Iterator[str]:
    """A note for each profile whose sensor won't feed what a file will take, as far as the saved model tells."""
    sensed = [(profile, profile.sensor) for profile in profiles if profile.sensor is not None]
    shape = _planned_shape(recipe) if sensed else None
    if shape is None:
        return
    raw = recipe.stem.pixels == "raw"
    for profile, sensor in sensed:
        for precision in dict.fromkeys(precision for _, precision in files):
            dtype = PRECISIONS[precision].data
            bytes_pass = raw and dtype == "int8"
            spec = TensorSpec(
                name="",
                shape=(1, *shape),
                dtype=dtype,
                expects="raw" if raw else "normalized",
                scale=1.0 if bytes_pass else None,
                zero_point=-128 if bytes_pass else None,
            )
            reason = mismatch(recipe, sensor, spec)
            if reason:
                yield f"profile {profile.id}: the {precision} file will take {reason}"
                break


def _planned_shape(recipe: Recipe) -> tuple[int, int, int] | None:
    """(height, width, channels) of the picture that a build's files will take; None where only the model tells."""
    if recipe.cut.start is not None or planned_arrays(recipe) is not None:
        return None
    try:
        config = config_of(recipe.source.model)
    except SourceError:
        return None
    own = picture_shape(config or {})
    size = recipe.stem.size or (own[:2] if own else None)
    order = recipe.stem.order
    channels = recipe.stem.channels or (CHANNELS[order] if order else own[2] if own else None)
    return None if size is None or None in size or channels is None else (size[0], size[1], channels)  # type: ignore[return-value]
