"""What a device's sensor feeds against what a file takes: the mismatch that no runtime reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecut.errors import SourceError
from edgecut.graph.peek import config_of, picture_shape
from edgecut.images.device import CHANNELS, DEFAULT_ORDER
from edgecut.images.preprocess import affine
from edgecut.pipeline.runtimes import DTYPES, Files
from edgecut.records.artifact import Artifact, TensorSpec
from edgecut.records.profile import Profile, Sensor
from edgecut.records.recipe import Recipe
from edgecut.records.report import Check

# Of the range: normalized ends are rounded in documents (1 / 255 as 0.00392).
_SAME_RANGE = 0.01


def sensor_check(recipe: Recipe, artifact: Artifact, profile: Profile) -> Check | None:
    """Whether the profile's sensor feeds what the file takes, as read back from it; None where there is no picture.

    The reason of a miss names the recipe lines that would mend it.
    """
    sensor = profile.sensor
    if sensor is None or len(artifact.inputs) != 1:
        return None
    (spec,) = artifact.inputs
    if spec.expects is None or len(spec.shape) != 4:
        return None
    reason = _mismatch(recipe, sensor, spec)
    return Check(
        metric="sensor", artifact=artifact.name, profile=profile.id, limit=_sensor_words(sensor),
        value=_input_words(recipe, spec), unit="", state="misses" if reason else "meets", basis="read back",
        reason=reason and f"the file takes {reason}",
    )  # fmt: skip


def sensor_notes(recipe: Recipe, files: Files, profiles: Sequence[Profile]) -> Iterator[str]:
    """A note for each profile whose sensor won't feed what a file will take, as far as the saved model tells."""
    sensed = [(profile, profile.sensor) for profile in profiles if profile.sensor is not None]
    shape = _planned_shape(recipe) if sensed else None
    if shape is None:
        return
    raw = recipe.stem.pixels == "raw"
    for profile, sensor in sensed:
        for precision in dict.fromkeys(precision for _, precision in files):
            dtype = DTYPES[precision]
            bytes_pass = raw and dtype == "int8"
            spec = TensorSpec(
                name="", shape=(1, *shape), dtype=dtype, expects="raw" if raw else "normalized",
                scale=1.0 if bytes_pass else None, zero_point=-128 if bytes_pass else None,
            )  # fmt: skip
            reason = _mismatch(recipe, sensor, spec)
            if reason:
                yield f"profile {profile.id}: the {precision} file will take {reason}"
                break


def _planned_shape(recipe: Recipe) -> tuple[int, int, int] | None:
    """(height, width, channels) of the picture that a build's files will take; None where only the model tells."""
    if recipe.cut.start is not None:
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


def _mismatch(recipe: Recipe, sensor: Sensor, spec: TensorSpec) -> str:
    """What an input takes, what the sensor feeds, and the recipe lines that mend it; "" where they agree."""
    remedies = ", ".join(_remedies(recipe, sensor, spec))
    taken, fed = _input_words(recipe, spec), _sensor_words(sensor)
    return f"{taken}, and the sensor feeds {fed}; {remedies}" if remedies else ""


def _remedies(recipe: Recipe, sensor: Sensor, spec: TensorSpec) -> Iterator[str]:
    _, height, width, channels = spec.shape
    if (height, width) != (sensor.height, sensor.width):
        yield f"set stem.size = [{sensor.height}, {sensor.width}]"
    if channels != sensor.channels:
        yield f"set stem.channels = {sensor.channels}"
    if _order(recipe, channels) != sensor.order_or_default and channels == sensor.channels:
        yield f"set stem.order = '{sensor.order_or_default}'"
    if sensor.dtype == "float32":
        if spec.dtype != "float32":
            yield "add 'float32' to export.precisions"
        elif sensor.range is not None and not _near(sensor.range, _range(recipe, spec)):
            yield f"set stem.pixels = '{'raw' if _near(sensor.range, (0, 255)) else 'normalized'}'"
    elif not _takes_bytes(recipe, spec):
        yield "set stem.pixels = 'raw'"


def _takes_bytes(recipe: Recipe, spec: TensorSpec) -> bool:
    """Whether the value of an input is the byte: held as byte - 128 in int8, or cast."""
    if not _near(_range(recipe, spec), (0, 255)):
        return False
    return spec.dtype != "int8" or (spec.scale, spec.zero_point) == (1.0, -128)


def _range(recipe: Recipe, spec: TensorSpec) -> tuple[float, float]:
    """What black and white are to the file, over all channels."""
    if spec.expects == "raw":
        return 0.0, 255.0
    mapping = affine(recipe.source.preprocess)
    ends = [*mapping.offset, *(mapping.scale * 255 + mapping.offset)]
    return float(min(ends)), float(max(ends))


def _near(a: tuple[float, float], b: tuple[float, float]) -> bool:
    width = max(abs(b[1] - b[0]), abs(a[1] - a[0]))
    return max(abs(a[0] - b[0]), abs(a[1] - b[1])) <= _SAME_RANGE * width


def _order(recipe: Recipe, channels: int) -> str | None:
    return recipe.stem.order or DEFAULT_ORDER.get(channels)


def _sensor_words(sensor: Sensor) -> str:
    ends = sensor.range or ((0, 255) if sensor.dtype != "float32" else None)
    words = f"{sensor.height}x{sensor.width}x{sensor.channels} {sensor.order_or_default} {sensor.dtype}"
    return words if ends is None else f"{words} {ends[0]:g}..{ends[1]:g}"


def _input_words(recipe: Recipe, spec: TensorSpec) -> str:
    low, high = _range(recipe, spec)
    size = "x".join(map(str, spec.shape[1:]))
    return f"{size} {_order(recipe, spec.shape[3])} {spec.dtype} {low:.3g}..{high:.3g}"
