"""`edgecut export --format c`: options, and what is written."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgecut.cli.output import Output
from edgecut.errors import OutputError, RequestError
from edgecut.export.packages import Package
from edgecut.records.recipe import Exported, Precision, Recipe
from edgecut.records.units import format_bytes
from edgecut.version import __version__
from edgecut.whole import scratch_folder

if TYPE_CHECKING:
    from edgecut.export.plain_c import Extras
    from edgecut.records.artifact import Artifact
    from edgecut.records.measurement import Measurement

_LARGEST_SIDE = 16_384  # of a camera's frame: positions are 16-bit numbers


class InC(NamedTuple):
    """What is written beside plain C: --camera, --crop, --package."""

    camera: tuple[int, int, int] | None
    crop: tuple[int, int] | None
    package: Package | None


class Target(NamedTuple):
    """The file to write. format_: None for what `out` ends in."""

    format_: Exported | None
    precision: Precision
    out: Path
    force: bool


def camera(text: str) -> tuple[int, int, int]:
    """(height, width, channels) of "240x320x3"; gray without channels."""
    match = re.fullmatch(r"(\d+)[xX×](\d+)(?:[xX×]([13]))?", text.strip())
    if match is None or not 0 < int(match[1]) <= _LARGEST_SIDE or not 0 < int(match[2]) <= _LARGEST_SIDE:
        raise ValueError(f"{text!r} is no frame; height x width x channels (1 or 3) is expected, such as 240x320x3")
    return int(match[1]), int(match[2]), int(match[3] or 1)


def crop(text: str) -> tuple[int, int]:
    """(height, width) of "240x240"."""
    match = re.fullmatch(r"(\d+)[xX×](\d+)", text.strip())
    if match is None or 0 in (sides := (int(match[1]), int(match[2]))):
        raise ValueError(f"{text!r} is no part of a frame; height x width is expected, such as 240x240")
    return sides


def extras_of(in_c: InC) -> Extras:
    """Raises RequestError for a crop without a camera, or one that is larger than its frame."""
    from edgecut.export.camera_c import Frame
    from edgecut.export.plain_c import Extras

    if in_c.camera is None:
        if in_c.crop is not None:
            raise RequestError("--crop: is a part of the camera's frame; pass --camera, too")
        return Extras(package=in_c.package, version=__version__)
    height, width, channels = in_c.camera
    crop = in_c.crop
    if crop is not None and (crop[0] > height or crop[1] > width):
        raise RequestError(f"--crop: {crop[0]}x{crop[1]} is larger than the camera's frame of {height}x{width}")
    return Extras(Frame((height, width), channels, crop), in_c.package, __version__)


def file_in(model: str) -> str:
    """The file that C is made of, where `model` is a bundle's folder; else `model`. Raises RequestError for none."""
    from edgecut.handoff.builds import read_side
    from edgecut.handoff.seal import MANIFEST

    folder = Path(model)
    if not (folder / MANIFEST).is_file():
        return model
    artifacts = read_side(folder, "none").artifacts
    chosen = next((own for own in artifacts if (own.format, own.precision) == ("tflite", "int8")), None)
    if chosen is None:
        there = ", ".join(own.name for own in artifacts)
        raise RequestError(f"{folder}: C is made of an int8 .tflite file; it has {there}")
    return str(folder / chosen.path)


def export_c(
    output: Output, recipe: Recipe, target: Target, extras: Extras, write: Callable[[Path], None]
) -> tuple[Artifact, list[str]]:
    """The .tflite file in the folder OUT, beside its C, and what the C takes. write: makes a file of a model."""
    from edgecut.export.plain_c import c_name, c_paths, write_c
    from edgecut.export.readback import read_artifact
    from edgecut.pipeline.file_legend import file_legend
    from edgecut.tflite.flatbuffer import read_content

    source, out, precision = recipe.source.model, target.out, target.precision
    if precision != "int8":
        raise RequestError(f"--precision: C is generated from int8, found {precision}")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file; name a folder")
    name = c_name(source)
    standing = [path for path in c_paths(name, out) if path.exists()]
    if extras.package is not None and out.is_dir() and any(out.iterdir()):
        standing = [out]
    if standing and not target.force:
        raise OutputError(f"{standing[0]}: exists; pass --force to replace it")
    with scratch_folder() as scratch:
        path = Path(source)
        if path.suffix.lower() != ".tflite":
            path = scratch / f"{name}.tflite"
            write(path)
        content = read_content(path)
        legend = file_legend(path, read_artifact(path, name=path.name, precision=precision), recipe.data)
    if extras.package is not None:
        extras = replace(extras, figures=_linked(output, content, name))
    extras = replace(extras, legend=legend)
    made = write_c(content, name, out, source, extras)
    artifact = read_artifact(out / f"{name}.tflite", name=f"{name}.tflite", precision=precision)
    rows = "" if made.rows_arena_bytes is None else f", {format_bytes(made.rows_arena_bytes)} by rows of a camera"
    return artifact, [
        f"wrote {_written(name, extras)}: work buffer {format_bytes(made.arena_bytes)}{rows}; "
        "computes as TFLM's reference kernels do (not run here: a bundle's golden vectors are)",
        *_lost(extras),
    ]


def _lost(extras: Extras) -> list[str]:
    """That a package's example can only number the values."""
    if extras.package is None or extras.legend.labels or extras.legend.decisions:
        return []
    return [
        "the example prints the number of the largest value: no names and no threshold of the outputs are known; "
        "--labels and --threshold tell them"
    ]


def _linked(output: Output, content: bytes, name: str) -> tuple[Measurement, ...]:
    """Flash and stack of the C that a file becomes."""
    from edgecut.bench.linked import CORE, linked

    with scratch_folder() as scratch, output.progress().task(f"linking it for a {CORE}"):
        path = scratch / f"{name}.tflite"
        path.write_bytes(content)
        return linked(path)


def _written(name: str, extras: Extras) -> str:
    more = "" if extras.camera is None else f", {name}_camera.c and {name}_camera.h"
    more += f", {name}_outputs.h" if extras.legend.labels or extras.legend.units or extras.legend.decisions else ""
    return f"{name}_run.c and {name}_run.h{more}{f', for {extras.package}' if extras.package else ''}"
