"""An int8 .tflite file with the C that is generated from it, in one folder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from edgecut.engine import Generated, generate
from edgecut.engine.c_text import c_symbol
from edgecut.errors import ExportError, OutputError
from edgecut.export.c_source import outputs_files
from edgecut.export.camera_c import Frame, camera_files
from edgecut.export.package_example import Meaning
from edgecut.export.package_readme import Packaged, package_readme
from edgecut.export.packages import Library, Package, example_path, package_files
from edgecut.export.readback import read_artifact
from edgecut.records.artifact import Artifact
from edgecut.records.legend import NO_LEGEND, Legend
from edgecut.records.measurement import Measurement
from edgecut.runtime.specs import tensor_specs
from edgecut.tflite.flatbuffer import parse
from edgecut.whole import scratch_folder, write_whole


def c_name(source: str) -> str:
    """What the C of a model is called: its file's name, or a source's own, without what is behind the first dot.

    >>> c_name("dist/models/my-net.int8.tflite")
    'my_net'
    """
    return c_symbol(Path(source.partition("?")[0].rpartition(":")[2]).name.partition(".")[0]).lower()


def c_paths(name: str, folder: Path) -> tuple[Path, ...]:
    """The files of a model's C in a folder: the model that it is generated from, and its texts and headers."""
    own = folder / f"{name}.tflite", folder / f"{name}_run.c", folder / f"{name}_run.h"
    return (*own, *_extra_paths(name, folder))


def _extra_paths(name: str, folder: Path) -> tuple[Path, ...]:
    """The files that some C has beside it: what its outputs mean, and the way from a camera's frame."""
    return tuple(folder / f"{name}_{what}.{suffix}" for what in ("outputs", "camera") for suffix in ("h", "c"))


@dataclass(frozen=True)
class Extras:
    """What is written beside the C. camera: what gives the frames, of which the picture is made in C, too. package:
    the tool whose layout the folder has. version: of the package. figures: flash and stack for its README. legend: of
    the outputs, in NAME_outputs.h, NAME_outputs.c and the package's example."""

    camera: Frame | None = None
    package: Package | None = None
    version: str = ""
    figures: tuple[Measurement, ...] = ()
    legend: Legend = NO_LEGEND


NO_EXTRAS = Extras()


def write_c(content: bytes, name: str, folder: Path, where: str, extras: Extras = NO_EXTRAS) -> Generated:
    """Write NAME.tflite, NAME_run.c and NAME_run.h, or a package of them; nothing if the content can't be C.

    What an earlier C of that name had beside it, and this one hasn't, is removed: it tells of other outputs or frames.

    where: what sentences call the content. Raises ExportError with a line for each operator without a kernel, or for a
    camera of a model that takes no picture; OutputError if the folder can't be made.
    """
    made = generate(content, name, where)
    files = dict(made.files)
    if extras.camera is not None:
        files |= camera_files(name, extras.camera, _picture(content, where))
    artifact = _artifact(content, name)
    files |= outputs_files(name, artifact, extras.legend)
    texts = {file: text.encode() for file, text in files.items()}
    if extras.package is not None:
        inputs, outputs = tensor_specs(parse(content, where))
        packaged = Packaged(name, content, made, inputs, outputs, extras.camera, extras.figures)
        library = Library(
            name,
            files,
            meaning_of(artifact, extras.legend),
            extras.version,
            readme=package_readme(packaged, extras.version, example_path(extras.package, name)),
            camera=extras.camera is not None,
            # Rows of a series are its steps, whatever its picture's rows are.
            by_rows=made.rows_arena_bytes is not None and len(inputs[0].shape) == 4 and min(inputs[0].shape[1:3]) > 1,
        )
        texts = package_files(extras.package, library)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: can't be made ({exc.strerror}); name another folder") from exc
    write_whole(folder / f"{name}.tflite", content)
    for file, text in texts.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    for source in (Path(file) for file in texts if Path(file).name == f"{name}_run.c"):
        for path in _extra_paths(name, folder / source.parent):
            if str(path.relative_to(folder)) not in texts:
                path.unlink(missing_ok=True)
    return made


def _artifact(content: bytes, name: str) -> Artifact:
    with scratch_folder() as scratch:
        path = scratch / f"{name}.tflite"
        path.write_bytes(content)
        return read_artifact(path, name=path.name, precision="int8")


def meaning_of(artifact: Artifact, legend: Legend) -> Meaning:
    """What the example says: of the output that has the names or a decision, else of the first."""
    named = artifact.labelled(legend.labels)
    decided = [own for own in legend.decisions if all(point.code is not None for point in own.points)]
    place = legend.place(artifact) if named is not None or not decided else decided[0].place
    sizes = [math.prod(tuple(map(int, spec.shape[1:]))) for spec in artifact.outputs]
    decision = next((own for own in decided if own.place == place), None)
    return Meaning(sizes[place], sum(sizes[:place]), len(legend.labels) if named is not None else 0, decision)


def _picture(content: bytes, where: str) -> tuple[int, int, int]:
    """(height, width, channels) that a file takes. Raises ExportError if it is no picture."""
    inputs, _ = tensor_specs(parse(content, where))
    if len(inputs) == 1 and len(inputs[0].shape) == 4 and inputs[0].shape[3] in {1, 3}:
        _, height, width, channels = inputs[0].shape
        return height, width, channels
    shapes = ", ".join(str(spec.shape) for spec in inputs)
    raise ExportError(f"{where}: takes {shapes}, and --camera is for a picture of 1 or 3 channels; leave it out")
