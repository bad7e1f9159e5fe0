"""A camera's frame to the model's picture as C99, equal to images/device.py's to_device to the byte."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecut.engine.c_text import c_symbol
from edgecut.records.escapes import c_comment

# Of Pillow's 8-bit resampling (src/libImaging/Resample.c): 32 bits less 8 of a byte and 2 for sums that go over.
_BITS = 22
_PER_LINE = 8
_GRAY = """\
        const uint32_t red = resized(frame, y, x, 0), green = resized(frame, y, x, 1), blue = resized(frame, y, x, 2);
        row[x] = (uint8_t)((299u * red + 587u * green + 114u * blue + 500u) / 1000u);"""
_REPEATED = """\
        row[3 * x] = row[3 * x + 1] = row[3 * x + 2] = resized(frame, y, x, 0);"""
_ALIKE = """\
        int channel;
        for (channel = 0; channel < {0}; channel++) row[x * {0} + channel] = resized(frame, y, x, channel);"""


@dataclass(frozen=True)
class Frame:
    """What a camera gives, and which part of it is looked at, in the middle.

    size: (height, width). channels: 1 gray, 3 R, G, B. crop: (height, width) of the part, None for all.
    """

    size: tuple[int, int]
    channels: int
    crop: tuple[int, int] | None = None

    @property
    def part(self) -> tuple[int, int, int, int]:
        """(top, left, height, width) of what is looked at."""
        height, width = self.crop or self.size
        return (self.size[0] - height) // 2, (self.size[1] - width) // 2, height, width


def camera_files(name: str, frame: Frame, picture: tuple[int, int, int]) -> dict[str, str]:
    """{file name: text} of NAME_camera.h and NAME_camera.c. picture: (height, width, channels 1 or 3) of the model's.

    >>> sorted(camera_files("net", Frame((240, 320), 3, crop=(240, 240)), (96, 96, 1)))
    ['net_camera.c', 'net_camera.h']
    """
    top, left, crop_height, crop_width = frame.part
    height, width, channels = picture
    across, down = spans(crop_width, width), spans(crop_height, height)
    pixel = _ALIKE.format(channels)
    if frame.channels != channels:
        pixel = _GRAY if channels == 1 else _REPEATED
    symbol = c_symbol(name)
    words = {
        "TITLE": c_comment(name), "SYMBOL": symbol, "PREFIX": symbol.upper(), "BITS": _BITS,
        "CAMERA_HEIGHT": frame.size[0], "CAMERA_WIDTH": frame.size[1], "CHANNELS": frame.channels,
        "TOP": top, "LEFT": left, "CROP_HEIGHT": crop_height, "CROP_WIDTH": crop_width,
        "HEIGHT": height, "WIDTH": width, "PICTURE_CHANNELS": channels, "PIXEL": pixel,
        "ACROSS": _span_rows(across), "ACROSS_WEIGHTS": _numbers(across),
        "DOWN": _span_rows(down), "DOWN_WEIGHTS": _numbers(down),
    }  # fmt: skip
    return {f"{symbol}_camera.{end}": _filled(f"camera.{end}.in", words) for end in ("h", "c")}


@dataclass(frozen=True)
class Span:
    """The source positions of an output position: the first, and the weight of each in fixed point."""

    first: int
    weights: tuple[int, ...]


def spans(source: int, target: int) -> tuple[Span, ...]:
    """What each of `target` positions is made of out of `source` ones, as Pillow's bilinear filter has it.

    precompute_coeffs and normalize_coeffs_8bpc of src/libImaging/Resample.c in python-pillow/Pillow.
    """
    scale = source / target
    support = max(scale, 1.0)
    per_position = 1.0 / support
    found = []
    for place in range(target):
        center = (place + 0.5) * scale
        first, last = max(0, int(center - support + 0.5)), min(source, int(center + support + 0.5))
        weights = [max(0.0, 1.0 - abs((k - center + 0.5) * per_position)) for k in range(first, last)]
        total = sum(weights)
        fixed = (int(0.5 + (weight / total if total else weight) * (1 << _BITS)) for weight in weights)
        found.append(Span(first, tuple(fixed)))
    return tuple(found)


def _span_rows(rows: Sequence[Span]) -> str:
    at, texts = 0, []
    for row in rows:
        texts.append(f"{{{row.first}, {len(row.weights)}, {at}}}")
        at += len(row.weights)
    return _lines(texts)


def _numbers(rows: Sequence[Span]) -> str:
    return _lines([str(weight) for row in rows for weight in row.weights])


def _lines(texts: Sequence[str]) -> str:
    count = math.ceil(len(texts) / _PER_LINE)
    return "\n".join("    " + ", ".join(texts[k * _PER_LINE : (k + 1) * _PER_LINE]) + "," for k in range(count))


def _filled(template: str, words: dict[str, object]) -> str:
    text = (Path(__file__).parent / template).read_text("utf-8")
    return re.sub(r"@([A-Z_]+)@", lambda found: str(words[found[1]]), text)
