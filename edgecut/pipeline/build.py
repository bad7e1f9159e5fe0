"""A build from the source model to checked and measured files: one straight line of steps."""

from __future__ import annotations

from pathlib import Path

from edgecut.graph.naming import counted_anew
from edgecut.images.dataset import Dataset
from edgecut.memory import give_back
from edgecut.pipeline.bench import bench_files
from edgecut.pipeline.cached import Cache, cached
from edgecut.pipeline.check import check_files, stimuli_of
from edgecut.pipeline.codecs import BodyCodec, CheckedCodec, MeasurementsCodec
from edgecut.pipeline.compress import compress_model
from edgecut.pipeline.cut import cut_model
from edgecut.pipeline.explain import explain_files
from edgecut.pipeline.head import fit_head
from edgecut.pipeline.images import class_names, read_images
from edgecut.pipeline.load import load_source
from edgecut.pipeline.operators import refuse_file, refuse_model
from edgecut.pipeline.plan import Plan
from edgecut.pipeline.stem import edit_stem, refuse_request
from edgecut.pipeline.uncompressed import compare_uncompressed
from edgecut.pipeline.values import Body, Checked, Done, Fitted, Lazy, Source, Written, WrittenFile, gathered
from edgecut.pipeline.write import keras_file, write_files
from edgecut.records.precision import written_files
from edgecut.records.progress import Progress
from edgecut.records.recipe import Recipe
from edgecut.whole import scratch_folder


def build_files(cache: Cache, progress: Progress) -> tuple[Body, Done[Checked]]:
    """The model files of a plan in the cache's folder, checked and measured, and the body that they were made from.

    What a stage doesn't read can change without running it again: another head keeps the cut, another budget all.
    """
    plan, folder = cache.plan, cache.folder
    body = cached(cache, "edited", BodyCodec(plan.recipe), lambda: _edited(plan.recipe, progress))
    checked = cached(cache, "made", CheckedCodec(), lambda: _made(body.value, cache, progress))
    files = tuple(WrittenFile(folder / artifact.path, artifact) for artifact in checked.value.artifacts)
    for file in files:  # they may come from a build for other profiles
        refuse_file(file.path, file.artifact.precision, plan.profiles, plan.recipe.export.formats)
    if plan.recipe.compress.is_asked:  # their times stand beside the uncompressed files', and were measured with these
        return body.value, gathered(checked.value, body, checked)
    rows = cached(
        cache, "benched", MeasurementsCodec(), lambda: bench_files(files, plan.recipe.bench, plan.profiles, progress)
    )
    return body.value, gathered(checked.value.with_measurements(rows.value), body, checked, rows)


def edit(source: Source, recipe: Recipe, progress: Progress) -> Done[Body]:
    """Cut, stem: the model that takes what the device feeds."""
    with counted_anew():
        cut = cut_model(source.model.value, recipe.cut, unsafe=recipe.source.unsafe, progress=progress)
        stem = edit_stem(cut.value, recipe, progress)
    give_back()
    model, feed = stem.value
    return gathered(Body(source, Lazy(lambda: model), feed), cut, stem)


def write(
    body: Body, images: Dataset | None, plan: Plan, folder: Path, progress: Progress
) -> tuple[Fitted, Done[Written]]:
    """Head, compress, write: the float model, and its files in `folder`, whose operators the devices have."""
    refuse_model(body.model.value, written_files(plan.files), plan.profiles)
    with scratch_folder() as scratch, counted_anew():
        head = fit_head(body, images, plan.recipe, scratch, progress)
        compressed = compress_model(head.value, images, plan.recipe, progress)
        fitted = compressed.value
        keras_file(fitted.model, plan.recipe.name, folder)
        written = write_files(fitted, images, plan.recipe, plan.files, folder, progress)
    for file in written.value.files:
        refuse_file(file.path, file.artifact.precision, plan.profiles, plan.recipe.export.formats)
    return fitted, gathered(written.value, head, compressed, written)


def _edited(recipe: Recipe, progress: Progress) -> Done[Body]:
    source = load_source(recipe, progress)
    body = edit(source.value, recipe, progress)
    if recipe.cut.start is None:
        refuse_request(recipe, body.value.model.value)
    return gathered(body.value, source, body)


def _made(body: Body, cache: Cache, progress: Progress) -> Done[Checked]:
    """Images, write, explain, check: files in the cache's folder, and what is known of them."""
    plan, recipe, folder = cache.plan, cache.plan.recipe, cache.folder
    images = read_images(body, recipe, progress, cache.pictures)
    fitted, written = write(body, images.value, plan, folder, progress)
    files = written.value.files
    explained = explain_files(fitted, images.value, files, recipe, progress)
    checked = check_files(fitted, images.value, files, recipe, progress, plan.profiles)
    value = Checked(
        artifacts=tuple(file.artifact for file in files),
        measurements=checked.value.measurements,
        trials=written.value.trials,
        explanations=explained.value,
        stimuli=stimuli_of(fitted, images.value),
        labels=class_names(recipe, images.value),
        decisions=checked.value.decisions,
    )
    done = gathered(value, images, written, explained, checked)
    if fitted.before is None:
        return done
    benched = bench_files(files, recipe.bench, plan.profiles, progress)
    measured = value.with_measurements(benched.value)
    compared = compare_uncompressed(fitted, images.value, files, measured.measurements, plan=plan, progress=progress)
    return gathered(measured.with_measurements(compared.value), done, benched, compared)
