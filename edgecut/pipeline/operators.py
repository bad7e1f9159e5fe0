"""What the devices' runtimes make of the operators of a build: refused before a file is written, or noted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgecut.engine import plan
from edgecut.errors import ExportError, RequestError, several
from edgecut.lowering.expected_operators import expected_operators, recurrent_loops
from edgecut.pipeline.model_faults import planned_part
from edgecut.records.json_value import JsonObject
from edgecut.records.precision import PRECISIONS, needs_images, taken_by
from edgecut.records.profile import Profile
from edgecut.records.recipe import Exported, Format, Precision, Recipe, Wanted
from edgecut.tflite.flatbuffer import read
from edgecut.tflite.support import ADVISED, State, judge_operator, unsupported, verdicts

if TYPE_CHECKING:
    import keras

Files = Sequence[tuple[Format, Precision]]


def operator_faults(recipe: Recipe, files: Files, profiles: Sequence[Profile]) -> Iterator[str]:
    """A fault for each layer whose operator a profile's runtime lacks, as far as the saved model tells."""
    yield from _sentences(lambda: _planned(recipe), files, profiles, "unsupported")


def operator_notes(recipe: Recipe, files: Files, profiles: Sequence[Profile]) -> Iterator[str]:
    """A note for each layer whose operator a profile's runtime runs slowly."""
    pooled = recipe.head is not None and recipe.head.pool == "avg"
    yield from _sentences(lambda: _planned(recipe), files, profiles, "slow")
    if pooled:
        # edgecut's own layer, which nobody can replace: see head/attach.py for why it is a mean.
        own = _sentences(lambda: [("head_pool", "MEAN")], files, profiles, "slow")
        yield from (sentence.partition(";")[0] for sentence in own)


def loop_notes(recipe: Recipe, precisions: Sequence[Wanted]) -> Iterator[str]:
    """A note for each recurrent layer that becomes so many steps, as calibration needs it."""
    part = planned_part(recipe)
    calibrated = next((precision for precision in precisions if needs_images(precision)), None)
    if part is None or calibrated is None:
        return
    for name, layer, steps in recurrent_loops(*part):
        over = "its steps" if steps is None else f"its {steps} steps"
        yield (
            f"{calibrated}: layer {name!r} ({layer}) is unrolled over {over}, since TensorFlow can't calibrate a loop; "
            "file and arena grow with them"
        )


def refuse_model(model: keras.Model, files: Files, profiles: Sequence[Profile]) -> None:
    """Raises RequestError if a layer of the model becomes an operator that a profile's runtime lacks."""
    faults = list(_sentences(lambda: _advised(expected_operators(_config(model))), files, profiles, "unsupported"))
    if faults:
        raise several(RequestError, faults)


def refuse_file(
    path: Path, precision: Precision, profiles: Sequence[Profile], formats: Sequence[Exported] = ()
) -> None:
    """Raises ExportError if a written .tflite file has an operator that the runtime of a profile lacks.

    formats: that were asked for; an int8 file has to be C where c is among them.
    """
    if path.suffix.lower() != ".tflite":
        return
    if precision == "int8" and "c" in formats:
        plan(path)
    graph = read(path)
    for profile in profiles:
        if taken_by(profile, "tflite", precision):
            runtime = profile.runtime
            if runtime.name == "c":
                plan(path)
                continue
            missing = unsupported(verdicts(graph, runtime.name, runtime.kernels, runtime.version))
            if missing:
                said = "; ".join(dict.fromkeys(verdict.sentence() for verdict in missing))
                raise ExportError(f"export: {path.name}: profile {profile.id}: {said}")


def _planned(recipe: Recipe) -> tuple[tuple[str, str], ...]:
    part = planned_part(recipe)
    if part is None:
        return ()  # What is then left is known once the model is edited.
    return _advised(expected_operators(part[0], [end.partition("@")[0].partition(":")[0] for end in part[1]]))


def _advised(operators: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """What each layer ends in, where something is known that helps; the rest is judged in the written file."""
    return tuple((layer, operator) for layer, operator in dict(operators).items() if operator in ADVISED)


def _sentences(
    foreseen: Callable[[], Sequence[tuple[str, str]]], files: Files, profiles: Sequence[Profile], wanted: State
) -> Iterator[str]:
    """foreseen: (layer, operator) each; asked only where the runtime of a device is judged by them."""
    judged = [p for p in profiles if p.runtime.name in {"tflm", "litert"} and p.class_ != "host"]
    operators = foreseen() if judged else ()
    for profile in judged:
        runtime = profile.runtime
        written = [precision for form, precision in files if form == "tflite" and taken_by(profile, form, precision)]
        dtypes = dict.fromkeys(PRECISIONS[precision].data for precision in written)
        for layer, operator in operators:
            for dtype in dtypes:
                state, reason, remedy = judge_operator(operator, dtype, runtime.name, runtime.kernels, runtime.version)
                if state == wanted:
                    mended = f"; {remedy}" if remedy else ""
                    yield f"profile {profile.id}: layer {layer!r} becomes {operator}, which {reason}{mended}"
                    break


def _config(model: keras.Model) -> JsonObject:
    try:
        config: JsonObject = json.loads(model.to_json())
    except (TypeError, ValueError, NotImplementedError):
        return {}  # A model that can't be described is judged by its file.
    return config
