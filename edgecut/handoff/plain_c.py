"""The plain C in a bundle: when a bundle has it, what it is, and what it is equal to."""

from __future__ import annotations

from functools import lru_cache

from edgecut.engine import Generated, generate
from edgecut.errors import ExportError
from edgecut.records.artifact import Artifact
from edgecut.records.recipe import Recipe
from edgecut.records.report import Report

EQUAL_TO = "TensorFlow Lite Micro's reference kernels (double rounding), to the bit"


def plain_c(content: bytes, report: Report, recipe: Recipe, artifact: Artifact) -> tuple[Generated | None, str]:
    """(the C of an artifact, why there is none): of an int8 file where the recipe asks for it, or a microcontroller
    is one of the devices. The reason is "" where nobody asked.
    """
    boards = any(profile.get("class") == "microcontroller" for profile in report.profiles)
    if not boards and "c" not in recipe.export.formats:
        return None, ""
    ends = {spec.dtype for spec in (*artifact.inputs, *artifact.outputs)}
    if artifact.format != "tflite" or ends != {"int8"}:
        return None, "plain C is made of int8 .tflite files"
    try:
        return _generated(content, recipe.name), ""
    except ExportError as exc:
        return None, str(exc).removeprefix("model: ").partition("\n")[0]


@lru_cache(maxsize=1)
def _generated(content: bytes, name: str) -> Generated:
    """Once for a bundle's files and its README."""
    return generate(content, name)
