"""The source model: loaded, and counted for the report."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from edgecut.graph.calls import calls
from edgecut.graph.cuts import cut_points
from edgecut.graph.saved import PREFIX
from edgecut.images.dataset import read_calibration
from edgecut.images.encoded import requested
from edgecut.images.npz import load_array, read_headers
from edgecut.images.preprocess import normalize
from edgecut.pipeline.onnx_source import weight_files
from edgecut.pipeline.values import Done, Lazy, Source, timed
from edgecut.records.artifact import sha256_of
from edgecut.records.facts import Shape, StepFacts
from edgecut.records.progress import Progress
from edgecut.records.proof import Proof
from edgecut.records.recipe import Recipe
from edgecut.records.recipe import Source as SourceRequest
from edgecut.records.report import SourceFacts
from edgecut.source.load import Loaded, read_source
from edgecut.source.onnx import prove
from edgecut.source.onnx.conversion import Imported

PROOF_IMAGES = 8  # on which an imported model is held against its file


def load_source(recipe: Recipe, progress: Progress) -> Done[Source]:
    """The model that a recipe names; an .onnx file's is proven on the recipe's images, too."""
    source = recipe.source
    with timed("load", progress) as clock:
        read = read_source(source, progress)
        model = read.model
        graph = calls(model)
        facts = SourceFacts(
            path=source.model,
            sha256="" if source.model.startswith(PREFIX) else sha256_of(Path(source.model)),
            layers=len(model.layers),
            calls=len(graph),
            params=model.count_params(),
            macs=cut_points(graph)[-1].macs,
            nodes=dict(read.nodes),
            files={name: sha256_of(path) for name, path in weight_files(source).items()},
        )
        proof = _image_proof(read, recipe, progress) or read.proof
        step = clock.step(
            changed=False,
            before=_file_facts(read.imported),
            after=shapes(model),
            proof=proof,
            notes=tuple(read.notes),
        )
    return Done(Source(Lazy(lambda: model), facts), (step,))


def _file_facts(imported: Imported | None) -> StepFacts:
    """What an .onnx file takes and puts out, in its own order of axes; nothing of another source."""
    if imported is None:
        return StepFacts()
    inputs, outputs = (
        dict[str, Shape]((p.name, p.shape) for p in ports) for ports in (imported.inputs, imported.outputs)
    )
    return StepFacts(inputs=inputs, outputs=outputs, operators=len(imported.file.model.graph.node))


def _image_proof(read: Loaded, recipe: Recipe, progress: Progress) -> Proof:
    """The proof of an imported model on the recipe's images or arrays, too; empty without any that feed it."""
    if read.imported is None or recipe.data.train is None:
        return Proof()
    own = _arrays(read.model, Path(recipe.data.train)) or _pictures(read.model, recipe, progress)
    return Proof.model_validate(prove(read.imported, recipe.source.model, own).record) if own else Proof()


def _arrays(model: keras.Model, path: Path) -> list[np.ndarray]:
    """The first samples of an .npz of the model's own input shapes, as they are; none where it holds bytes, or others.

    Of several inputs it holds x_train.NAME for each.
    """
    if path.suffix.lower() != ".npz":
        return []
    headers, single = read_headers(path, "data.train"), len(model.inputs) == 1
    named = {"x_train" if single else f"x_train.{tensor.name}": tensor for tensor in model.inputs}
    found = {name: headers[name] for name in named if name in headers and headers[name].dtype != "|u1"}
    if any(name not in found or found[name].shape[1:] != tuple(named[name].shape[1:]) for name in named):
        return []
    return [load_array(path, name, "data.train")[:PROOF_IMAGES].astype(x.dtype) for name, x in named.items()]


def _pictures(model: keras.Model, recipe: Recipe, progress: Progress) -> list[np.ndarray]:
    """Some of the recipe's pictures as the model takes them; none where it takes no picture."""
    shape = tuple(model.inputs[0].shape) if len(model.inputs) == 1 else ()
    if recipe.data.train is None or len(shape) != 4 or shape[3] not in {1, 3}:
        return []
    pixels = read_calibration(
        recipe.data.train,
        (shape[1], shape[2], shape[3]),
        count=PROOF_IMAGES,
        seed=recipe.data.seed,
        where="data.train",
        request=requested(recipe.data),
        progress=progress,
    )
    return [normalize(pixels, recipe.source.preprocess)]


def reloaded(source: SourceRequest, facts: SourceFacts) -> Source:
    """The source of an earlier build, whose model is loaded when somebody reads it."""
    return Source(Lazy(lambda: read_source(source).model), facts)


def shapes(model: keras.Model) -> StepFacts:
    """The shapes of a model's inputs and outputs, and its number of weights."""
    return StepFacts(
        inputs=tuple(tuple(tensor.shape) for tensor in model.inputs),
        outputs=tuple(tuple(tensor.shape) for tensor in model.outputs),
        params=model.count_params(),
    )
