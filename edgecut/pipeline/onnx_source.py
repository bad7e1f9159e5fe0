"""What can be said of an .onnx source before it is imported, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecut.errors import SourceError
from edgecut.images.arrays import spelled
from edgecut.images.preprocess import affine
from edgecut.records.document import closest
from edgecut.records.recipe import LayerRef, Preprocess, Source
from edgecut.source.onnx import Survey, survey
from edgecut.source.onnx.inputs import ModelInput, model_inputs
from edgecut.source.onnx.reading import external_files, read_file
from edgecut.source.onnx.survey import refusal
from edgecut.source.onnx.tracing import fixed_shapes

_SHOWN = 5  # names that are near to one that isn't there


def is_onnx(source: Source) -> bool:
    """Whether a recipe's source is an .onnx file by its name."""
    return Path(source.model).suffix.lower() == ".onnx"


def colour_hint(preprocess: Preprocess) -> str:
    """What whoever imports a model of colour pictures has to know of its pixels; "" where nothing is left to say."""
    gray = "a gray camera then feeds raw bytes (--gray --pixels raw)"
    if preprocess == "none":
        return (
            "an .onnx file doesn't say what its pixels are: torchvision's and most of timm's models were trained on "
            f"--preprocess torch, whose mean differs by channel, so {gray}"
        )
    return "" if affine(preprocess).treats_channels_alike else f"the mean or the scale differs by channel, so {gray}"


def weight_files(source: Source) -> dict[str, Path]:
    """The other files that an .onnx source keeps weights in, by their names in it; {} for another source."""
    if not is_onnx(source):
        return {}
    folder = Path(source.model).parent
    return {name: folder / name for name in external_files(source.model) if (folder / name).is_file()}


def imported_inputs(source: Source) -> tuple[ModelInput, ...] | None:
    """The inputs of the model that an import would make, channels last; None where the file can't be read, or had."""
    try:
        return model_inputs(source.model, source.shape)
    except SourceError:
        return None


def check_shape(source: Source) -> None:
    """Raises SourceError where source.shape doesn't fit the inputs of an .onnx file, or leaves a size open."""
    if source.shape is not None:
        fixed_shapes(read_file(source.model), source.shape)


def order_notes(source: Source) -> Iterator[str]:
    """A note for each input whose arrays have their axes in another order than the file."""
    for each in imported_inputs(source) or ():
        if each.is_turned:
            yield (
                f"samples for {each.name!r} are {spelled(each.shape[1:])}, channels last as the built files take them; "
                f"the .onnx file has {_in_file(each)}"
            )


def _in_file(taken: ModelInput) -> str:
    sizes = ["n" if axis == taken.order[0] else size for axis, size in enumerate(taken.file_shape)]
    return f"({', '.join('any' if size is None else str(size) for size in sizes)})"


def import_faults(source: Source, refs: Sequence[tuple[str, LayerRef]]) -> Iterator[str]:
    """Why a source can't be imported, or has no layer of such a name. refs: (recipe key, layer) that the recipe names.

    Raises SourceError for a file that can't be read.
    """
    found = survey(source.model, dequantize=source.dequantize)
    if found.refused:
        yield f"source.model: {source.model}: {refusal(found)}"
        return
    if found.open_inputs and source.shape is None:
        names = ", ".join(map(repr, found.open_inputs))
        said = "say them without the batch (--shape 3x224x224)"
        yield f"source.shape: {source.model} leaves sizes of {names} open; {said}"
    try:
        check_shape(source)
    except SourceError as exc:
        yield f"source.shape: {exc}"
    for key, ref in refs:
        if isinstance(ref, str) and not _may_be(ref, found):
            yield f"{key}: no layer {ref!r}{closest(ref, found.names, _SHOWN)}"


def _may_be(ref: str, found: Survey) -> bool:
    """Whether the import may give a layer of a name: that of a node's, one beside it (NAME.pad), or one of several."""
    base = ref.partition("@")[0].partition(":")[0]
    return any(
        base == name or base.startswith((f"{name}.", f"{name}_")) or name.startswith(f"{base}_") for name in found.names
    )
