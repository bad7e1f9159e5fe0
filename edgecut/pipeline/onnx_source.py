"""What can be said of an .onnx source before it is imported, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecut.records.document import closest
from edgecut.records.recipe import LayerRef, Source
from edgecut.source.onnx import Survey, survey
from edgecut.source.onnx.survey import refusal

_SHOWN = 5  # names that are near to one that isn't there


def is_onnx(source: Source) -> bool:
    """Whether a recipe's source is an .onnx file by its name."""
    return Path(source.model).suffix.lower() == ".onnx"


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
    for key, ref in refs:
        if isinstance(ref, str) and not _may_be(ref, found):
            yield f"{key}: no layer {ref!r}{closest(ref, found.names, _SHOWN)}"


def _may_be(ref: str, found: Survey) -> bool:
    """Whether the import may give a layer of a name: that of a node's, one beside it (NAME.pad), or one of several."""
    base = ref.partition("@")[0].partition(":")[0]
    return any(
        base == name or base.startswith((f"{name}.", f"{name}_")) or name.startswith(f"{base}_") for name in found.names
    )
