"""What a device's sensor feeds against what a file takes: the mismatch that no runtime reports."""

from __future__ import annotations

from collections.abc import Iterator

from edgecut.images.device import DEFAULT_ORDER
from edgecut.images.preprocess import affine
from edgecut.records.artifact import Artifact, TensorSpec
from edgecut.records.precision import PRECISIONS
from edgecut.records.profile import Profile, Sensor
from edgecut.records.recipe import Preprocess, Recipe
from edgecut.records.report import Check

# Of the range: normalized ends are rounded in documents (1 / 255 as 0.00392).
_SAME_RANGE = 0.01
_BYTES = (0.0, 255.0)


def sensor_keys(profile: Profile, preprocess: Preprocess) -> dict[str, object]:
    """The recipe keys of [stem] and [export] under which a build makes the files that the profile's sensor feeds.

    preprocess: what the source was trained on. {} for a profile without a sensor.
    """
    sensor = profile.sensor
    if sensor is None:
        return {}
    keys: dict[str, object] = {"stem.size": [sensor.height, sensor.width], "stem.channels": sensor.channels}
    pixels = _pixels_for(sensor, preprocess)
    if sensor.order is not None:
        keys["stem.order"] = sensor.order
    if pixels == "raw":
        keys["stem.pixels"] = pixels
    fed = [precision for precision in profile.runtime.precisions if PRECISIONS[precision].data in _taken_dtypes(sensor)]
    chosen = [precision for precision in fed if precision in {"float32", "int8"}] or fed
    return {**keys, "export.precisions": chosen} if chosen else keys


def why_only_bytes(channels: int | None, order: str | None, preprocess: Preprocess) -> str:
    """Why a device of these channels can't feed what the source's preprocessing makes of each; "" if it can."""
    mapping = affine(preprocess)
    if (channels == 1 or order == "gray") and not mapping.treats_channels_alike:
        return "source.preprocess treats the channels differently, so one normalized gray value can't carry it"
    order = order or ("rgba" if channels == 4 else "")
    mixed = {"bgr", "yuv", "rgba", *(["rgb"] if mapping.order == "bgr" else [])}
    if preprocess not in {"raw", "none"} and order in mixed:
        return f"{order} pixels are mixed as bytes, before source.preprocess"
    return ""


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
    reason = mismatch(recipe, sensor, spec)
    return Check(
        metric="sensor",
        artifact=artifact.name,
        profile=profile.id,
        limit=_sensor_words(sensor),
        value=_input_words(recipe, spec),
        unit="",
        state="misses" if reason else "meets",
        basis="read back",
        reason=reason and f"the file takes {reason}",
    )


def mismatch(recipe: Recipe, sensor: Sensor, spec: TensorSpec) -> str:
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
    fed, fits = _fed(sensor), _fits(recipe, sensor, spec)
    pixels = spec.expects if fits else _pixels_for(sensor, recipe.source.preprocess)
    if _order(recipe, sensor.channels, pixels) != sensor.order_or_default:
        yield f"set stem.order = '{sensor.order_or_default}'"
    if spec.dtype not in _taken_dtypes(sensor):
        yield f"set export.precisions = ['{_taken_dtypes(sensor)[0]}']"
    if not fits and (spec.expects != pixels or not _takes_bytes(spec)):
        yield f"set stem.pixels = '{pixels}'"
    if not fits and pixels == "raw" and fed is not None and not _near(fed, _BYTES):
        yield "feed 0..255 (sensor.range = [0, 255] in the profile), since no recipe line takes another range"


def _fits(recipe: Recipe, sensor: Sensor, spec: TensorSpec) -> bool:
    """Whether the sensor's values are the file's, in the file's order or in one that the stem can mix them to."""
    fed, order = _fed(sensor), sensor.order_or_default
    same = (spec.shape[3], _order(recipe, spec.shape[3], spec.expects)) == (sensor.channels, order)
    if not same and spec.expects == "normalized" and why_only_bytes(sensor.channels, order, recipe.source.preprocess):
        return False
    near = fed is None or _near(fed, _range(recipe, spec))
    return near and (sensor.dtype == "float32" or _takes_bytes(spec))


def _pixels_for(sensor: Sensor, preprocess: Preprocess) -> str:
    """The stem.pixels that a sensor needs: "normalized" if it is floats as the source's preprocessing makes them."""
    fed = _fed(sensor)
    is_source = sensor.dtype == "float32" and (fed is None or _near(fed, _source_range(preprocess)))
    mixed = why_only_bytes(sensor.channels, sensor.order_or_default, preprocess)
    return "normalized" if is_source and not mixed else "raw"


def _taken_dtypes(sensor: Sensor) -> tuple[str, ...]:
    """The dtypes of inputs that the sensor's values can be put into, the nearest first; precisions have their names."""
    if sensor.dtype == "float32":
        return ("float32",)
    # The int8 is the byte minus 128, which isn't what a float input takes; a byte can be cast.
    return ("int8",) if sensor.dtype == "int8" else ("int8", "float32")


def _takes_bytes(spec: TensorSpec) -> bool:
    """Whether an input holds the byte itself: as byte - 128 in int8, or cast."""
    return spec.dtype != "int8" or (spec.scale, spec.zero_point) == (1.0, -128)


def _fed(sensor: Sensor) -> tuple[float, float] | None:
    """What black and white are to the sensor; None for floats of which it isn't said."""
    return sensor.range or (None if sensor.dtype == "float32" else _BYTES)


def _range(recipe: Recipe, spec: TensorSpec) -> tuple[float, float]:
    """What black and white are to the file, over all channels."""
    return _BYTES if spec.expects == "raw" else _source_range(recipe.source.preprocess)


def _source_range(preprocess: Preprocess) -> tuple[float, float]:
    mapping = affine(preprocess)
    ends = [*mapping.offset, *(mapping.scale * 255 + mapping.offset)]
    return float(min(ends)), float(max(ends))


def _near(a: tuple[float, float], b: tuple[float, float]) -> bool:
    width = max(abs(b[1] - b[0]), abs(a[1] - a[0]))
    return max(abs(a[0] - b[0]), abs(a[1] - b[1])) <= _SAME_RANGE * width


def _order(recipe: Recipe, channels: int, pixels: str | None) -> str | None:
    """What the channels of a file are: the source's own order where the stem names none and doesn't mix them."""
    if recipe.stem.order is None and pixels == "normalized" and channels == 3:
        return affine(recipe.source.preprocess).order
    return recipe.stem.order or DEFAULT_ORDER.get(channels)


def _sensor_words(sensor: Sensor) -> str:
    ends = _fed(sensor)
    words = f"{sensor.height}x{sensor.width}x{sensor.channels} {sensor.order_or_default} {sensor.dtype}"
    return words if ends is None else f"{words} {ends[0]:g}..{ends[1]:g}"


def _input_words(recipe: Recipe, spec: TensorSpec) -> str:
    low, high = _range(recipe, spec)
    size = "x".join(map(str, spec.shape[1:]))
    return f"{size} {_order(recipe, spec.shape[3], spec.expects)} {spec.dtype} {low:.3g}..{high:.3g}"
