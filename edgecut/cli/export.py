"""`edgecut export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from edgecut.cli.completion import files
from edgecut.cli.export_c import InC, Target, camera, crop, export_c, extras_of, file_in
from edgecut.cli.files import bench_hint, check_target
from edgecut.cli.flags import Overrides, Parsed, grouped, recipe_flags
from edgecut.cli.output import Output, with_output
from edgecut.cli.request import read_source
from edgecut.cli.sources import load_model
from edgecut.errors import DataError, RequestError, several
from edgecut.export.packages import Package
from edgecut.records.precision import needs_images
from edgecut.records.recipe import Exported, Format, Precision, Recipe

if TYPE_CHECKING:
    import keras
    import numpy as np

    from edgecut.records.artifact import Artifact

_OF_OUTPUTS = frozenset({"data.labels", "data.threshold", "data.positive"})
# Rounding alone was at most 1e-5 of the largest output in the real models.
FUSION_TOLERANCE = 1e-3


@click.command(
    "export",
    epilog="\b\nExamples:\n"
    "  edgecut export model.keras --precision float32 -o model.tflite\n"
    "  edgecut export model.keras --precision int8 --data photos --preprocess tf -o model.tflite\n"
    "  edgecut export model.tflite --format c -o c\n"
    "  edgecut export dist --format c --package esp-idf -o component\n"
    "  edgecut export model.tflite --format c --package arduino --camera 240x320x3 --crop 240x240 -o model\n"
    "  edgecut export float.onnx --quantizer ort --data photos --preprocess torch -o int8.onnx",
)
@click.argument("model", shell_complete=files)
@click.option("--format", "format_", type=click.Choice(get_args(Exported)), help="By default what OUT ends in.")
@click.option("--precision", type=click.Choice(get_args(Precision)), default="int8", show_default=True)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The file to write; for c a folder.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@click.option("--package", type=click.Choice(get_args(Package)), help="With --format c: what this tool installs.")
@click.option(
    "--camera",
    type=Parsed(camera, "HxWxC"),
    metavar="HxWxC",
    help="With --format c: also a frame of this size, gray or R, G, B, to the model's picture in C.",
)
@click.option("--crop", type=Parsed(crop, "HxW"), metavar="HxW", help="With --camera: its middle part alone.")
@recipe_flags(
    "--preprocess",
    "--order",
    "--data",
    "--kind",
    "--labels",
    "--threshold",
    "--positive",
    "--calibration",
    "--seed",
    "--quantizer",
    "--unsafe",
    "--shape",
    "--dequantize",
)
@with_output
@grouped(target=Target, in_c=InC)
def command(output: Output, *, model: str, target: Target, in_c: InC, overrides: Overrides) -> int:
    """Write a model as it is to one .tflite or .onnx file, or to plain C, and show what the file holds.

    MODEL is a Keras model, a SavedModel folder of any origin, or an .onnx file, which is imported first. With
    --quantizer ort a float .onnx file is quantized as it is.

    With --format c OUT is a folder for the int8 .tflite file and the plain C that is generated from it, equal to TFLM
    to the bit; MODEL may then also be an int8 .tflite file of any origin, or a bundle. What the outputs mean is in
    NAME_outputs.h and in the example: the names and thresholds of the bundle in which the file lies, or those of
    --labels, --threshold and --positive. --package makes the folder a library of
    Arduino or PlatformIO, an ESP-IDF component, a Zephyr module or a CMSIS-Pack, with an example; --camera adds the
    way from a camera's frame to the picture, equal to edgecut's own to the byte.

    int8 and int16x8 need images (--data) and what the model takes (--preprocess): of one made by "edgecut stem --pixels
    raw" that is raw, and the camera's bytes then pass into an int8 file unchanged. A model that takes no picture is
    calibrated on an .npz of arrays: x_train, or x_train.NAME for each of several inputs.
    """
    from edgecut.render.graphs import artifact_parts

    if target.format_ == "c":
        model = file_in(model)
    recipe = read_source(model, overrides)
    out = target.out
    if target.format_ != "c" and any(in_c):
        raise RequestError("--package, --camera, --crop: are for --format c; pass it, too")
    if target.format_ != "c" and _OF_OUTPUTS.intersection(overrides):
        raise RequestError("--labels, --threshold, --positive: are for --format c; pass it, too")
    if target.format_ == "c":

        def write(path: Path) -> None:
            _check(recipe, "tflite", target.precision, path, target.force)
            _export(output, recipe, "tflite", target.precision, path)

        artifact, notes = export_c(output, recipe, target, extras_of(in_c), write)
        output.table(*artifact_parts(artifact))
        output.remarks(*notes)
        output.note(bench_hint(out / artifact.name))
        output.document({"artifacts": [artifact.to_dict()], "notes": notes})
        return 0
    form = target.format_ or _format_of(out)
    as_it_is = _check(recipe, form, target.precision, out, target.force)
    if as_it_is:
        artifact, notes = _quantize_onnx(output, recipe, out)
    else:
        artifact, notes = _export(output, recipe, form, target.precision, out)
    notes += _fusion_notes(out)
    output.table(*artifact_parts(artifact))
    output.remarks(*notes)
    output.note(bench_hint(out))
    output.document({"artifacts": [artifact.to_dict()], "notes": notes})
    return 0


def _format_of(out: Path) -> Format:
    for known in get_args(Format):
        if out.suffix.lower() == f".{known}":
            return known
    raise RequestError(f"{out}: ends in neither .tflite nor .onnx; pass --format or rename it")


def _check(recipe: Recipe, target: Format, precision: Precision, out: Path, force: bool) -> bool:
    """Whether ONNX Runtime quantizes an .onnx file as it is.

    Raises RequestError for what can be known before a model is loaded.
    """
    from edgecut.graph.saved import kind_of

    check_target(out, force=force)
    is_onnx, is_ort = kind_of(recipe.source.model) == "onnx", recipe.export.quantizer == "ort"
    if is_ort and (target, precision) != ("onnx", "int8"):
        raise RequestError(f"--quantizer: ort makes int8 ONNX files, found {target} {precision}")
    if needs_images(precision) and recipe.data.train is None:
        raise RequestError(f"export: {precision} needs data to calibrate on; pass --data")
    if recipe.data.train is not None and not Path(recipe.data.train).exists():
        raise DataError(f"--data: no such file or folder {recipe.data.train!r}")
    return is_onnx and is_ort


def _export(
    output: Output, recipe: Recipe, target: Format, precision: Precision, out: Path
) -> tuple[Artifact, list[str]]:
    from edgecut.graph.quiet import import_keras_quietly
    from edgecut.graph.saved import kind_of

    progress = output.progress()
    with progress.task("loading the model"):
        import_keras_quietly()
        from edgecut.export.artifacts import export
        from edgecut.source.exported import load_exported

        source = recipe.source.model
        # A SavedModel's function is what it computes, whatever wrote it; only cutting it needs its layers.
        is_function = kind_of(source) == "saved_model"
        unsafe = recipe.source.unsafe
        model = load_exported(source, unsafe=unsafe) if is_function else load_model(output, recipe.source, progress)
    images = _calibration_of(output, recipe, model) if needs_images(precision) else None
    if precision == "int8" and recipe.source.preprocess == "raw" and not is_function:
        from edgecut.stem.camera import for_bytes

        model = for_bytes(model)
    with progress.task(f"writing {target} {precision}"):
        artifact = export(
            model, format=target, precision=precision, calibration=images, path=out, quantizer=recipe.export.quantizer
        )
    return artifact, []


def _quantize_onnx(output: Output, recipe: Recipe, out: Path) -> tuple[Artifact, list[str]]:
    """The int8 form of an .onnx file, and how near it comes to it."""
    from edgecut.export.artifacts import quantize_onnx
    from edgecut.export.onnx_static import picture_input
    from edgecut.runtime.activation import last_activation
    from edgecut.runtime.files import FileRunner
    from edgecut.score.answer import answer_of
    from edgecut.score.distance import sqnr

    source = Path(recipe.source.model)
    taken = picture_input(source)
    images = _calibration(output, recipe, (taken.height, taken.width, taken.channels))
    with output.progress().task("quantizing by ONNX Runtime"):
        artifact = quantize_onnx(source, images, out)
        fed = images.transpose(0, 3, 1, 2) if taken.channels_first else images
        before, after = FileRunner(source).predict(fed), FileRunner(out).predict(fed)
        agreement = answer_of("classes", before.shape[1:], last_activation(source)).agreement(before, after)
    same = "" if agreement is None else f", the same decisions on {agreement:.0%}"
    return artifact, [f"{len(fed)} calibration images: {sqnr(before, after):.1f} dB SQNR beside the float file{same}"]


def _fusion_notes(out: Path) -> list[str]:
    """What ONNX Runtime's default optimizations change in a float file; nothing if that is rounding."""
    if out.suffix.lower() != ".onnx":
        return []
    from edgecut.export.onnx_fusion import fusion_difference

    difference = fusion_difference(out.read_bytes())
    if difference is None or difference <= FUSION_TOLERANCE:
        return []
    return [
        f"ONNX Runtime's default optimizations change the outputs by {difference:.2g} of the largest one; run it with "
        "graph_optimization_level=ORT_DISABLE_ALL"
    ]


def _calibration_of(output: Output, recipe: Recipe, model: keras.Model) -> list[np.ndarray]:
    """What calibrates a model, an array for each input. Raises DataError for what can't feed it."""
    from edgecut.images.dataset import read_calibration_arrays
    from edgecut.images.feed import ArrayFeed, kind_of
    from edgecut.images.rows import columns
    from edgecut.pipeline.model_faults import scaling_faults
    from edgecut.pipeline.stem import array_inputs

    shapes, kind = [tuple(tensor.shape) for tensor in model.inputs], recipe.data.kind
    if kind is None and Path(str(recipe.data.train)).suffix.lower() == ".npz":
        kind = kind_of(recipe.data, shapes)
    if len(shapes) == 1 and len(shapes[0]) == 4 and kind != "arrays":
        if None in shapes[0][1:]:
            raise DataError(
                f"export: the model takes {shapes}, and images calibrate one input of fixed size (batch, height, "
                "width, channels)"
            )
        return [_calibration(output, recipe, shapes[0][1:])]
    faults = list(scaling_faults(recipe, shapes))
    if kind_of(recipe.data, shapes) == "pictures":
        faults = [f"data.kind: the model takes {shapes}, and pictures feed one (batch, height, width, channels)"]
    if faults:
        raise several(DataError, list(f"export: {fault}" for fault in faults))
    inputs, data = array_inputs(model), recipe.data
    progress = output.progress()
    rows = read_calibration_arrays(
        str(data.train), inputs, count=data.calibration, seed=data.seed, where="--data", progress=progress
    )
    return list(columns(ArrayFeed(inputs, recipe.source.preprocess).values(rows)))


def _calibration(output: Output, recipe: Recipe, shape: tuple[int, int, int]) -> np.ndarray:
    """The calibration images as a model takes them that takes (height, width, channels): (n, *shape), float32."""
    from edgecut.images.dataset import read_calibration
    from edgecut.images.device import CHANNELS, DEFAULT_ORDER, in_order, model_input
    from edgecut.images.encoded import requested

    height, width, channels = shape
    order = recipe.stem.order or DEFAULT_ORDER.get(channels)
    if order is None or CHANNELS[order] != channels:
        if channels not in DEFAULT_ORDER:
            raise DataError(
                f"export: the model takes {channels} channels, and images that calibrate have 1, 3 or 4; write it in "
                "float32, float16 or dynamic (--precision), which need no images"
            )
        raise DataError(
            f"export: the model takes {channels} channels, and {order} has {CHANNELS[str(order)]}; name the "
            "model's own with --order"
        )
    pixels = read_calibration(
        recipe.data.train or "",
        (height, width, 1 if order == "gray" else 3),
        count=recipe.data.calibration,
        seed=recipe.data.seed,
        where="--data",
        request=requested(recipe.data),
        progress=output.progress(),
    )
    pixels = in_order(pixels, order).copy()
    # As a build does: an int8 input then holds 0..255, or what it was normalized to, whatever images were drawn.
    pixels[0, 0, 0], pixels[0, -1, -1] = 0, 255
    return model_input(pixels, recipe.source.preprocess, "normalized")
