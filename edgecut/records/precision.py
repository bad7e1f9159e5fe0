"""The precisions that a model file can be written in: one table, which everything else reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecut.records.profile import Profile
from edgecut.records.recipe import Export, Format, Precision, Wanted


@dataclass(frozen=True)
class Written:
    """How a file of a precision is written.

    data: the dtype of the tensors that flow. needs_images: whether its ranges are calibrated. formats: which files hold
    it. quantized: whether its operators compute in integers.
    """

    data: str
    needs_images: bool
    formats: tuple[Format, ...]
    quantized: bool = False


PRECISIONS: dict[Precision, Written] = {
    "float32": Written("float32", needs_images=False, formats=("tflite", "onnx")),
    "float16": Written("float32", needs_images=False, formats=("tflite",)),
    "dynamic": Written("float32", needs_images=False, formats=("tflite",)),
    "int8": Written("int8", needs_images=True, formats=("tflite", "onnx"), quantized=True),
    "int16x8": Written("int16", needs_images=True, formats=("tflite",), quantized=True),
}


def written_as(precision: Wanted) -> Precision:
    """The precision of the file that a recipe's word stands for: "auto" is an int8 file.

    >>> written_as("auto")
    'int8'
    """
    return "int8" if precision == "auto" else precision


def needs_images(precision: Wanted) -> bool:
    """Whether a file of the precision is calibrated on images."""
    return PRECISIONS[written_as(precision)].needs_images


def is_written(form: Format, precision: Wanted) -> bool:
    """Whether a format has files of the precision."""
    return form in PRECISIONS[written_as(precision)].formats


def precisions_of(form: Format) -> tuple[Precision, ...]:
    """The precisions of a format, in the table's order.

    >>> precisions_of("onnx")
    ('float32', 'int8')
    """
    return tuple(precision for precision, row in PRECISIONS.items() if form in row.formats)


def planned_files(export: Export) -> tuple[tuple[Format, Wanted], ...]:
    """The files that a recipe asks for; for c the int8 .tflite file that it is generated from.

    >>> planned_files(Export(formats=("c",)))
    (('tflite', 'int8'),)
    """
    forms: list[Format] = [form for form in export.formats if form != "c"]
    files = [(form, precision) for form in forms for precision in export.precisions if is_written(form, precision)]
    for_c: list[tuple[Format, Wanted]] = [("tflite", p) for p in export.precisions if written_as(p) == "int8"]
    return tuple(dict.fromkeys([*files, *(for_c if "c" in export.formats else [])]))


def written_files(files: Sequence[tuple[Format, Wanted]]) -> tuple[tuple[Format, Precision], ...]:
    """The files of a plan by the precision that they are written in."""
    return tuple((form, written_as(precision)) for form, precision in files)


def taken_by(profile: Profile, form: Format, precision: Wanted) -> bool:
    """Whether a profile's runtime takes a file of that format and precision."""
    return form in profile.runtime.formats and written_as(precision) in profile.runtime.precisions
