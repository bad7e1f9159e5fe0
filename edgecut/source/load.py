"""A model source (file or name) to a Keras model; what can't be loaded, and why."""

from __future__ import annotations

import inspect
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import tensorflow as tf

from edgecut.errors import GraphError, SourceError
from edgecut.graph.saved import Kind, application_arguments, config_of, keras_version, kind_of, lambda_names, overclaim
from edgecut.graph.sentences import LOADING_FAULTS, telling_line
from edgecut.records.document import closest
from edgecut.records.json_value import Json
from edgecut.records.progress import SILENT, Progress
from edgecut.records.proof import Proof
from edgecut.records.recipe import InputShape, Source
from edgecut.sandbox.hdf5 import check_hdf5
from edgecut.source.onnx.conversion import Imported
from edgecut.source.onnx.layers import REGISTERED
from edgecut.source.policies import in_float32, keras_2_in_float32
from edgecut.streams import caught_output


@dataclass(frozen=True)
class Loaded:
    """A model and how it was read.

    proof: of a Keras 2 file that was brought over, what agreement.py says; of one that computes in other floats than
    float32, what policies.py says; of an .onnx file, what onnx/proof.py says; else empty. imported: of an .onnx file.
    """

    model: keras.Model
    proof: Proof
    notes: tuple[str, ...] = ()
    imported: Imported | None = None

    @property
    def nodes(self) -> Mapping[str, tuple[str, ...]]:
        """Of an .onnx file, the nodes that each layer is of."""
        return {} if self.imported is None else self.imported.node_names


def load(
    source: str | Path, *, unsafe: bool = False, shape: InputShape | None = None, dequantize: bool = False
) -> keras.Model:
    """The Keras model in a .keras, .h5 or .onnx file, a SavedModel folder, or "keras:NAME?key=value&...".

    It computes in float32, whatever policy it was saved with.

    unsafe: allow Lambda layers, whose code is then run. Of an .onnx file, shape: of its input without the batch, or of
    each by name, where the file leaves sizes open; dequantize: take a quantized one, as floats.
    Raises SourceError in one sentence for whatever can't be loaded.

    >>> edgecut.load("bell.keras").output_shape
    (None, 5)
    """
    return read_source(Source(model=str(source), unsafe=unsafe, shape=shape, dequantize=dequantize)).model


def read_source(source: Source, progress: Progress = SILENT) -> Loaded:
    """The same as `load`, with the proof that what was read computes the same as what is in the file."""
    loaded = _read(source, progress)
    brought = in_float32(loaded.model, source.model)
    return replace(
        loaded, model=brought.model, proof=brought.proof or loaded.proof, notes=(*loaded.notes, *brought.notes)
    )


def _read(asked: Source, progress: Progress) -> Loaded:
    source, unsafe = asked.model, asked.unsafe
    kind = kind_of(source)
    if kind == "application":
        return Loaded(_application(source), Proof())
    if kind == "onnx":
        return _import(asked, progress)
    if kind == "tflite":
        raise SourceError(f"{source}: is a TFLite file; a model (.keras, .h5, .onnx) is expected here")
    config = config_of(source)
    if kind == "saved_model" and config is None:
        raise SourceError(
            f"{source}: is an exported SavedModel, which holds functions and no layers, so there is nothing to cut; "
            "`edgecut export` and `edgecut bench` work on it, or give the .keras file that it was exported from"
        )
    lambdas = lambda_names(config) if config else ()
    if lambdas and not unsafe:
        raise SourceError(
            f"{source}: has Lambda layers ({', '.join(map(repr, lambdas))}), which run code that comes with the file; "
            "pass --unsafe (unsafe=True) if you trust it"
        )
    links = check_hdf5(Path(source)) if kind in {"keras", "h5"} else ()
    if links and not unsafe:
        raise SourceError(f"{source}: {links[0]}; save the model again where they are")
    fault = overclaim(source, config) if config and kind in {"keras", "h5"} else None
    if fault:
        raise SourceError(f"{source}: {fault}; it is damaged, fetch or save it again")
    return _read_file(source, kind, config or {}, unsafe=unsafe)


def _import(source: Source, progress: Progress) -> Loaded:
    from edgecut.source.onnx import convert, prove

    imported = convert(source.model, dequantize=source.dequantize, shape=source.shape, progress=progress)
    with progress.task("proving the import"):
        proof = prove(imported, source.model).record
    return Loaded(imported.model, proof, imported.notes, imported)


def _read_file(source: str, kind: Kind, config: dict[str, Json], *, unsafe: bool) -> Loaded:
    _check_ending(source, kind)
    if kind != "saved_model" and not _is_keras_2(source):
        return Loaded(_load_file(source, kind, unsafe=unsafe), Proof())
    # Keras 3 reads most .h5 files of Keras 2, and takes its hard_sigmoid for another function of that name.
    if kind != "h5" or "hard_sigmoid" in json.dumps(config):
        return _cross(source, unsafe=unsafe)
    try:
        return Loaded(_with_bare_input(_load_file(source, kind, unsafe=unsafe)), Proof())
    except SourceError as exc:
        try:
            return _cross(source, unsafe=unsafe)
        except SourceError as other:
            # What neither generation can read is told in the words of today's.
            raise (other if isinstance(other.__cause__, GraphError) else exc) from other.__cause__


def _with_bare_input(model: keras.Model) -> keras.Model:
    """The model that takes its one input as it is. Keras 2 stores such an input as a list, and Keras 3 expects one."""
    declared = getattr(model, "_inputs_struct", None)
    if not isinstance(declared, list) or len(declared) != 1:
        return model
    return keras.Model(declared[0], model._outputs_struct, name=model.name)


def _cross(source: str, *, unsafe: bool) -> Loaded:
    from edgecut.keras2.bridge import cross_to_keras, read_keras_2

    try:
        brought = keras_2_in_float32(read_keras_2(source, unsafe=unsafe), source)
        crossing = cross_to_keras(brought.model)
    except GraphError as exc:
        raise SourceError(f"{source}: is a Keras 2 model that can't be read as Keras 3: {exc}") from exc
    error = crossing.proof.max_abs_error
    return Loaded(
        crossing.model,
        brought.proof or crossing.proof,
        (
            f"a Keras 2 model, rebuilt in Keras 3 with the same weights; on {crossing.proof.inputs} inputs its "
            f"outputs {'are equal' if crossing.proof.exact else f'differ by up to {error:.2g}'}",
            *brought.notes,
        ),
    )


def _is_keras_2(source: str) -> bool:
    """Whether Keras 2 or 1 wrote a file; old ones don't say."""
    return (keras_version(source) or "2").split(".")[0] in {"1", "2"}


def _check_ending(source: str, kind: Kind) -> None:
    # Keras names a file's kind by its ending alone; the content decided already.
    endings = {"keras": {".keras"}, "h5": {".h5", ".hdf5", ".keras"}}
    if kind in endings and Path(source).suffix not in endings[kind]:
        raise SourceError(f"{source}: holds a {'.' + kind} model under another ending; rename it to end in .{kind}")


class _Keras2DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """Reads a Keras 2 configuration, whose 'groups' key Keras 3 doesn't know, as today's layer."""

    @classmethod
    def from_config(cls, config: dict[str, Json]) -> keras.layers.DepthwiseConv2D:
        return keras.layers.DepthwiseConv2D.from_config({k: v for k, v in config.items() if k != "groups"})


def _load_file(source: str, kind: str, *, unsafe: bool) -> keras.Model:
    shims = {"DepthwiseConv2D": _Keras2DepthwiseConv2D} if kind == "h5" else {}
    try:
        with caught_output():
            model = keras.models.load_model(
                source, compile=False, safe_mode=not unsafe, custom_objects={**REGISTERED, **shims}
            )
    except (tf.errors.ResourceExhaustedError, MemoryError) as exc:
        raise SourceError(
            f"{source}: needs more memory than there is; close other programs, or check its layers"
        ) from exc
    except zipfile.BadZipFile as exc:
        raise SourceError(f"{source}: is truncated or damaged ({exc}); fetch or save it again") from exc
    except LOADING_FAULTS as exc:
        raise SourceError(f"{source}: can't be loaded: {_cause(exc)}") from exc
    if not isinstance(model, keras.Model):
        raise SourceError(f"{source}: holds a {type(model).__name__}, and a keras.Model is expected")
    return model


def _cause(error: Exception) -> str:
    """The telling line of a Keras loading error, which is often wrapped in pages of configuration."""
    text = str(error)
    unknown = re.search(r"(?:Could not locate (class|function)|Unknown layer:) '(\w+)'", text)
    if unknown:
        return (
            f"{unknown[1] or 'class'} {unknown[2]!r} isn't known; register it with "
            "keras.saving.register_keras_serializable and import it first"
        )
    if "`safe_mode=False`" in text:
        what = telling_line(error).partition(". ")[0]
        return f"{what[:1].lower()}{what[1:200]}; pass --unsafe (unsafe=True) if you trust it"
    if "No cast function available" in text:
        return "its weights are bfloat16, a type that HDF5 hasn't; save it as .keras, or with the policy mixed_bfloat16"
    weights = re.search(r"Example error message for object <\w+ name=([^,>]+)[^>]*>:\s*(.+)", text)
    if weights:
        return f"the weights of layer {weights[1]!r}: {weights[2][:200].rstrip('.')}"
    if "No such file" in text or "File not found" in text:
        return "the archive's weights are missing or damaged; fetch or save it again"
    return telling_line(error)[:200].rstrip(",")


def _application(source: str) -> keras.Model:
    name, arguments = application_arguments(source)
    builders = application_names()
    if name not in builders:
        raise SourceError(f"{source}: keras.applications has no model {name!r}{closest(name, builders)}")
    builder = getattr(keras.applications, name)
    known = inspect.signature(builder).parameters
    unknown = [key for key in arguments if key not in known]
    if unknown:
        raise SourceError(f"{source}: {name} takes no {unknown[0]!r}{closest(unknown[0], known)}")
    weights = arguments.get("weights", known["weights"].default)
    try:
        with caught_output():
            return builder(**arguments)
    except (ValueError, TypeError) as exc:
        raise SourceError(f"{source}: {str(exc).splitlines()[0].rstrip('.')}") from exc
    except Exception as exc:
        if weights is None or not _is_download_failure(exc):
            raise
        raise SourceError(
            f"{source}: the {weights!r} weights could not be downloaded ({str(exc).splitlines()[0]}); "
            "give a model file, or weights=none for random weights"
        ) from exc


def application_names() -> Sequence[str]:
    """The names that keras.applications builds models under."""
    return [
        name
        for name, builder in vars(keras.applications).items()
        if inspect.isfunction(builder) and "weights" in inspect.signature(builder).parameters
    ]


def _is_download_failure(error: Exception) -> bool:
    # keras.utils.get_file raises a bare Exception("URL fetch failure on ...").
    return "URL fetch failure" in str(error) or isinstance(error, OSError)
