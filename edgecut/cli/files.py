"""Single files that commands write."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from shlex import quote

from edgecut.cli.output import Output
from edgecut.errors import OutputError, RequestError
from edgecut.records.recipe import Recipe
from edgecut.records.report import Step
from edgecut.records.toml_text import toml_value


def check_target(path: Path, *, force: bool) -> None:
    """Raises OutputError if a file can't be written at `path`, or is there and `force` isn't given."""
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file")
    if path.exists() and not path.is_file():
        raise OutputError(f"{path}: is a device or a pipe; name a file")
    if path.exists() and not force:
        raise OutputError(f"{path}: exists; pass --force to replace it")
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"{path}: there is no folder {str(folder)!r}; make it first")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{path}: the folder {str(folder)!r} is read-only; choose another")


def check_pages(pages: Iterable[Path | None], *, force: bool, beside: Iterable[Path]) -> None:
    """Raises OutputError as check_target does, if two of `pages` are one file, or if one is at or below a `beside`.

    beside: bundles, which would differ from their manifests, and files that a command reads.
    """
    seen: set[Path] = set()
    whole = [path.resolve() for path in beside]
    for page in filter(None, pages):
        place = page.resolve()
        if place in seen:
            raise OutputError(f"{page}: is to be written twice; name another file for each")
        if any(place.is_relative_to(path) for path in whole):
            raise OutputError(f"{page}: is part of what this command reads or builds; name a file elsewhere")
        check_target(page, force=force)
        seen.add(place)


def check_keras_target(path: Path, *, force: bool) -> None:
    """Raises OutputError as check_target does, or RequestError for a file of another ending than .keras."""
    check_target(path, force=force)
    check_keras_name(path)


def check_keras_name(path: Path) -> None:
    """Raises RequestError if a Keras model would be written to a file of another ending than .keras."""
    if path.suffix != ".keras":
        raise RequestError(
            f"{path}: a Keras model is written; name it *.keras (edgecut export makes other files of it)"
        )


def show_step(output: Output, step: Step, out: Path) -> None:
    """Print what a step made of a model, and that it wrote `out`."""
    from edgecut.render.steps import step_parts

    output.table(*step_parts(step))
    for note in step.notes:
        output.note(note)
    output.remarks(f"wrote {out}")
    output.document(step.to_dict())


def check_svg(path: Path) -> None:
    """Raises RequestError if a picture can't be written at `path`, or would have another ending than .svg."""
    if path.suffix.lower() != ".svg":
        raise RequestError(f"--svg: an .svg file is written, found {str(path)!r}")
    check_target(path, force=True)


def bench_hint(out: Path) -> str:
    """The command that measures a .tflite or .onnx file that was written."""
    return f"next: edgecut bench {quote(str(out))}"


def export_hint(out: Path, recipe: Recipe) -> str:
    """The command that makes a file for a device of a Keras model that was written. recipe: what it was made by.

    int8 of a model that takes pictures or arrays; float32 of one that starts inside, which no picture calibrates. Where
    nobody said how pictures are scaled or which there are, float32, which needs neither, and how int8 is had.
    """
    written = f"-o {quote(str(out.with_suffix('.tflite')))}"
    floats = f"next: edgecut export {quote(str(out))} --precision float32 {written}"
    if recipe.cut.start is not None:
        return floats
    how, unsaid = _calibration(recipe)
    int8 = f"edgecut export {quote(str(out))} {how} {written}"
    return f"{floats}; for int8, with your own {' and '.join(unsaid)}: {int8}" if unsaid else f"next: {int8}"


def _calibration(recipe: Recipe) -> tuple[str, list[str]]:
    """The flags that say what int8 is calibrated on, and their words that nobody said."""
    from edgecut.pipeline.model_faults import planned_arrays

    train = recipe.data.train
    if planned_arrays(recipe) is not None:
        kind = "--kind arrays " if recipe.data.kind is not None else ""
        return f"{kind}--data {quote(train or 'ARRAYS.npz')}", [] if train else ["ARRAYS.npz"]
    said = recipe.source.to_dict()["preprocess"]
    mode = "raw" if recipe.stem.pixels == "raw" else "MODE" if said == "none" else said
    words = quote(mode if isinstance(mode, str) else toml_value(mode))
    order = recipe.stem.order or ("rgba" if recipe.stem.channels == 4 else "")
    mixed = f" --order {order}" if order in {"bgr", "yuv", "rgba"} else ""
    unsaid = [*(["MODE"] if mode == "MODE" else []), *([] if train else ["IMAGES"])]
    return f"--preprocess {words}{mixed} --data {quote(train or 'IMAGES')}", unsaid
