"""What a request would do, and every fault of it, before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecut.bench.sensor import why_only_bytes
from edgecut.errors import DocumentError, RequestError, SourceError, faults_of
from edgecut.graph.saved import PREFIX, config_of, kind_of, lambda_names, layer_names
from edgecut.graph.saved_functions import operator_fault
from edgecut.images.listing import left_out_notes
from edgecut.images.shards import is_folder_of_pictures, shard_notes
from edgecut.pipeline.model_faults import planned_arrays, planned_faults, threshold_faults
from edgecut.pipeline.onnx_source import import_faults, is_onnx, order_notes
from edgecut.pipeline.operators import loop_notes, operator_faults, operator_notes
from edgecut.pipeline.output_names import name_notes, with_own_names
from edgecut.pipeline.sensor import sensor_notes
from edgecut.pipeline.unchecked import unchecked
from edgecut.records.artifact import sha256_of
from edgecut.records.document import closest
from edgecut.records.precision import (
    PRECISIONS,
    needs_images,
    planned_files,
    precisions_of,
    taken_by,
    written_as,
    written_files,
)
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile, shadow_notes
from edgecut.records.recipe import Compress, Format, LayerRef, Recipe, Wanted

# What the names of layers begin with that a stem or a head adds to the source's.
_ADDED = ("stem_", "head_")


@dataclass(frozen=True)
class Plan:
    """A request without known faults. steps: (name, what it will do). files: the (format, precision) pairs to write.

    unchecked: what only the run can know.
    """

    recipe: Recipe
    profiles: tuple[Profile, ...]
    steps: tuple[tuple[str, str], ...]
    files: tuple[tuple[Format, Wanted], ...]
    notes: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    recipe_file: Path | None = None
    root: Path | None = None

    @property
    def base(self) -> Path | None:
        """The folder that the recipe's file names start from; None for the current one."""
        return self.root or (self.recipe_file.parent if self.recipe_file else None)


def plan(
    recipe: Recipe,
    profiles: Sequence[Profile] = (),
    out: Path | None = None,
    force: bool = False,
    recipe_file: Path | None = None,
    root: Path | None = None,
) -> Plan:
    """What a build of the recipe for the profiles (default: this host) would do; imports no TensorFlow.

    out: also check that the output folder can be used. recipe_file: where the recipe was read from, if it was;
    root: what its file names start from, by default the file's folder.
    Raises DocumentError with every fault that can be seen without loading the model.
    """
    chosen = tuple(profiles) or (find_profile("host"),)
    request, recipe = recipe, with_own_names(recipe)
    files = planned_files(recipe.export)
    faults = [
        *_source_faults(recipe),
        *_image_faults(recipe),
        *(stem_faults(recipe) if planned_arrays(recipe) is None else ()),
        *_export_faults(recipe, files),
        *compress_faults(recipe),
        *threshold_faults(recipe),
        *_profile_faults(files, chosen),
        *_output_faults(recipe, recipe_file, out, force),
        *operator_faults(recipe, written_files(files), chosen),
        *_runner_faults(recipe, chosen),
    ]
    if faults:
        if recipe_file is not None and root is None and (recipe_file.parent / "manifest.json").is_file():
            faults.append(f"{recipe_file} is a bundle's; say where the files of its request are (--root FOLDER)")
        raise DocumentError([f"{recipe.name}: {fault}" for fault in faults])
    notes = (
        *shadow_notes(chosen),
        *_notes(recipe, files),
        *name_notes(request, recipe),
        *_untaken_notes(files, chosen),
        *operator_notes(recipe, written_files(files), chosen),
        *sensor_notes(recipe, written_files(files), chosen),
    )
    return Plan(
        recipe, chosen, tuple(_steps(recipe, chosen, files)), files, notes, tuple(unchecked(recipe)), recipe_file, root
    )


def _source_faults(recipe: Recipe) -> Iterator[str]:
    source = recipe.source
    try:
        config = config_of(source.model)
        if source.sha256 and not source.model.startswith(PREFIX):
            found = sha256_of(Path(source.model))
            if found != source.sha256.lower():
                yield f"source.sha256: {source.model} has {found}, and the recipe asks for {source.sha256}"
        outside = (
            None if source.unsafe or kind_of(source.model) != "saved_model" else operator_fault(Path(source.model))
        )
        if outside:
            yield f"source.model: {outside}; pass --unsafe (unsafe=True) if you trust it"
        if is_onnx(source):
            yield from import_faults(source, [*_layer_refs(recipe), *_trained_refs(recipe)])
    except SourceError as exc:
        yield f"source.model: {exc}"
        return
    if config is None:
        return
    lambdas = lambda_names(config)
    if lambdas and not source.unsafe:
        yield (
            f"source.model: has Lambda layers ({', '.join(map(repr, lambdas))}), which run code that comes with the "
            "file; pass --unsafe (unsafe=True) if you trust it"
        )
    names = layer_names(config)
    for key, ref in (*_layer_refs(recipe), *_trained_refs(recipe)):
        if isinstance(ref, str) and names and _plain(ref, names) not in names:
            yield f"{key}: no layer {ref!r}{closest(ref, names)}"


def _layer_refs(recipe: Recipe) -> Iterator[tuple[str, LayerRef]]:
    cut = recipe.cut
    for key, value in (("cut.to", cut.to), ("cut.from", cut.start)):
        for ref in value if isinstance(value, tuple) else (value,):
            if ref is not None:
                yield key, ref
    for text in cut.drop:
        yield from (("cut.drop", ref) for ref in text.split(".."))
    for row in cut.replace:
        yield from (("cut.replace", ref) for ref in row.range.split(".."))


def _trained_refs(recipe: Recipe) -> Iterator[tuple[str, LayerRef]]:
    """The layers that training is told of, without those that only the build adds."""
    if recipe.cut.replace:
        return
    unfreeze = recipe.head.unfreeze if recipe.head is not None else None
    named = (*(("compress.skip", name) for name in recipe.compress.skip), ("head.unfreeze", unfreeze))
    yield from ((key, ref) for key, ref in named if ref is not None and not ref.startswith(_ADDED))


def _plain(ref: str, names: Sequence[str]) -> str:
    """The layer that "layer@k" and "layer:j" are about."""
    if ref in names:
        return ref
    base = ref.rpartition(":")[0] if ref.rpartition(":")[2].isdigit() else ref
    return base.rpartition("@")[0] if base.rpartition("@")[2].isdigit() else base


def _image_faults(recipe: Recipe) -> Iterator[str]:
    data, head = recipe.data, recipe.head
    # Imported here: it is only needed where a recipe names images.
    if data.train is not None or data.val is not None or data.labels is not None:
        from edgecut.images.dataset import undecodable
        from edgecut.images.faults import data_faults

        arrays = planned_arrays(recipe)
        faults = data_faults(data, head.classes if head else None, arrays, partial=head is None)
        yield from faults or undecodable(data, arrays, partial=head is None)
        if not faults or arrays is not None:
            yield from planned_faults(recipe)
    else:
        yield from planned_faults(recipe)
    if data.target != "classes" and "auto" in recipe.export.precisions:
        yield f"export.precisions: auto mends files of classes, and data.target is {data.target!r}; write int8"
    if data.train is None:
        if data.val is not None:
            yield "data.val: has no data.train beside it; set data.train (--data)"
        if head is not None and head.train != "none":
            how = "fitted" if head.train == "ridge" else "trained"
            yield f"head.train: {head.train} is {how} on data; set data.train (--data), or head.train = 'none'"
        if recipe.budget.accuracy_drop is not None:
            yield "budget.accuracy_drop: is measured on labelled data; set data.train (--data)"
        for precision in recipe.export.precisions:
            if needs_images(precision):
                yield f"export.precisions: {precision} needs data to calibrate on; set data.train (--data)"
    elif recipe.cut.start is not None and data.kind != "arrays":
        yield (
            "cut.from: the model then takes no image, so data.train can't feed it; leave one of the two out, or set "
            "data.kind = 'arrays' (--kind arrays) for arrays of that layer's shape"
        )


def stem_faults(recipe: Recipe) -> Iterator[str]:
    """What is wrong with a recipe's [stem] whatever the model is."""
    stem = recipe.stem
    if recipe.cut.start is not None and stem.is_edit:
        yield "stem: a model with cut.from has no image input to edit; leave [stem] or cut.from out"
    unmixed = why_only_bytes(stem.channels, stem.order, recipe.source.preprocess) if stem.pixels == "normalized" else ""
    if unmixed:
        yield f"stem.pixels: {unmixed}; set stem.pixels = 'raw' (--pixels raw)"
    if stem.resolution == "fit":
        if recipe.data.train is None:
            yield "stem.resolution: fit needs images to fit on; set data.train (--data)"
    else:
        for key in ("kernel", "stride", "filters", "batch_norm"):
            if getattr(stem, key):
                yield f"stem.{key}: is for a fitted stem; set stem.resolution = 'fit' (--resolution fit)"


def compress_faults(recipe: Recipe) -> Iterator[str]:
    """What is wrong with a recipe's [compress] whatever the model is."""
    wanted = recipe.compress
    if not wanted.is_asked:
        return
    if recipe.data.train is None:
        yield "compress: trains on labelled images; set data.train (--data)"
    elif recipe.data.target != "classes":
        yield f"compress: trains on classes, and data.target is {recipe.data.target!r}; leave one of the two out"
    if wanted.qat and not {"int8", "auto"} & set(recipe.export.precisions):
        yield "compress.qat: is for int8 files; add 'int8' to export.precisions (--precision int8)"


def _export_faults(recipe: Recipe, files: Sequence[tuple[Format, Wanted]]) -> Iterator[str]:
    for form in recipe.export.formats:
        if form == "c":
            if not any(written_as(precision) == "int8" for precision in recipe.export.precisions):
                yield "export.formats: c is generated from int8 and auto; add one to export.precisions"
        elif not any(f == form for f, _ in files):
            yield f"export.formats: {form} is written in {_words(form)}; add one to export.precisions"
    if recipe.export.quantizer == "ort" and ("onnx", "int8") not in files:
        yield "export.quantizer: ort makes int8 ONNX files; add onnx to export.formats and int8 to export.precisions"


def _profile_faults(files: Sequence[tuple[Format, Wanted]], profiles: Sequence[Profile]) -> Iterator[str]:
    for profile in profiles:
        if files and not any(taken_by(profile, *file) for file in files):
            takes = profile.runtime
            yield (
                f"profile {profile.id}: takes {', '.join(takes.formats)} in {', '.join(takes.precisions)}, and none of "
                f"the files to write is such; change export.formats or export.precisions"
            )


def _runner_faults(recipe: Recipe, profiles: Sequence[Profile]) -> Iterator[str]:
    if recipe.bench.runners:
        from edgecut.pipeline.bench import runner_faults

        yield from runner_faults(recipe.bench, profiles)


def read_paths(recipe: Recipe, recipe_file: Path | None) -> tuple[Path, ...]:
    """The files and folders that a build of the recipe reads, which its output must not replace."""
    named = (
        recipe.source.model,
        recipe.data.train,
        recipe.data.val,
        recipe.data.labels_file,
        *(r.with_ for r in recipe.cut.replace),
    )
    paths = [Path(name) for name in named if name and not name.startswith(PREFIX)]
    return (*paths, *([recipe_file] if recipe_file else []))


def _output_faults(recipe: Recipe, recipe_file: Path | None, out: Path | None, force: bool) -> Iterator[str]:
    if out is None:
        return
    from edgecut.handoff.output import check_output

    try:
        check_output(out, force=force, keep=read_paths(recipe, recipe_file))
    except RequestError as exc:
        yield from faults_of(exc)


def _steps(
    recipe: Recipe, profiles: Sequence[Profile], files: Sequence[tuple[Format, Wanted]]
) -> Iterator[tuple[str, str]]:
    cut, stem, head, data = recipe.cut, recipe.stem, recipe.head, recipe.data
    yield "load", f"{recipe.source.model}, {_spelled(recipe)}"
    edits = [
        *([f"from {cut.start}"] if cut.start is not None else []),
        *([f"to {cut.to}"] if cut.to is not None else []),
        *(f"drop {text}" for text in cut.drop),
        *(f"replace {row.range} by {row.with_}" for row in cut.replace),
    ]
    if edits:
        yield "cut", ", ".join(edits)
    if cut.start is None and planned_arrays(recipe) is None:
        channels = stem.order or {None: "the source's channels", 1: "gray", 3: "colour", 4: "rgba"}[stem.channels]
        size = f"{stem.size[0]}x{stem.size[1]}" if stem.size else "the source's size"
        how = "" if stem.resolution == "reuse" else f", by {stem.resolution}"
        yield "stem", f"{channels} at {size}{how}, {stem.pixels} pixels"
    if data.train is not None:
        yield "data", f"{data.train}, calibration on {_calibration_words(recipe)}"
    if head is not None:
        ways = {"ridge": "fitted by ridge", "fit": "trained on cached features", "none": "untrained"}
        ways |= {"distil": "taught by the source", "finetune": f"trained with the layers from {head.unfreeze} on"}
        how = ways[head.train]
        yield "head", f"{head.classes} classes, {head.pool} pooling, {head.activation}, {how}"
    if recipe.compress.is_asked:
        yield "compress", _compress_words(recipe.compress, always="int8" in recipe.export.precisions)
    yield "export", ", ".join(f"{form} {precision}" for form, precision in files)
    yield "check", "each file in its runtime against the float model"
    by = f", by {', '.join(recipe.bench.runners)}" if recipe.bench.runners else ""
    yield "bench", f"for {', '.join(profile.id for profile in profiles)}{by}"
    yield "bundle", "models, C source, golden vectors, report"


def _calibration_words(recipe: Recipe) -> str:
    """How many samples calibrate: no more than there are to train on."""
    from edgecut.images.dataset import training_count

    arrays, asked = planned_arrays(recipe), recipe.data.calibration
    noun = "images" if arrays is None else "samples"
    count = training_count(recipe.data, arrays, partial=recipe.head is None)
    if count is None:
        return f"at most {asked} {noun}"
    return f"{asked} {noun}" if count >= asked else f"all {count} {noun} (data.calibration is {asked})"


def _compress_words(wanted: Compress, always: bool) -> str:
    """What is trained. always: whether quantization-aware training doesn't wait for auto's other cures."""
    stages = []
    if wanted.prune is not None:
        height, width = wanted.prune.block
        pattern = {"any": "", "2:4": " in 2:4", "block": f" in blocks of {height}x{width}"}[wanted.prune.pattern]
        stages.append(f"pruned to {wanted.prune.sparsity:.0%}{pattern}")
    if wanted.cluster is not None:
        stages.append(f"clustered to {wanted.cluster.clusters} values")
    if wanted.qat:
        stages.append("trained quantization-aware" if always else "trained quantization-aware if no other cure does")
    return f"{', then '.join(stages)}; up to {wanted.epochs} epochs each"


def _spelled(recipe: Recipe) -> str:
    preprocess = recipe.source.preprocess
    if preprocess == "none":
        return "whose preprocessing isn't said"
    return f"trained on {preprocess if isinstance(preprocess, str) else 'scaled and shifted'} pixels"


def _untaken_notes(files: Sequence[tuple[Format, Wanted]], profiles: Sequence[Profile]) -> Iterator[str]:
    """A note for each profile whose runtime doesn't take a precision that was asked for besides float32 and int8."""
    unusual = [file for file in files if "onnx" not in PRECISIONS[written_as(file[1])].formats]
    for profile in profiles:
        untaken = dict.fromkeys(precision for form, precision in unusual if not taken_by(profile, form, precision))
        if untaken:
            takes = ", ".join(profile.runtime.precisions)
            yield f"profile {profile.id}: its runtime takes {takes}, and no {', '.join(untaken)}"


def _notes(recipe: Recipe, files: Sequence[tuple[Format, Wanted]]) -> Iterator[str]:
    yield from loop_notes(recipe, [precision for _, precision in files])
    if "auto" in recipe.export.precisions and (recipe.compress.prune or recipe.compress.cluster):
        yield "auto's cures move weights, so that its file may hold fewer zeros and more values than compress made"
    if "onnx" in recipe.export.formats:
        skipped = [p for p in recipe.export.precisions if ("onnx", p) not in files]
        if skipped:
            yield f"ONNX is written in {_words('onnx')}; {', '.join(skipped)} as TFLite only"
    for key, folder in (("data.train", recipe.data.train), ("data.val", recipe.data.val)):
        if folder is not None and is_folder_of_pictures(folder):
            yield from left_out_notes(Path(folder), key, has_classes=recipe.data.target == "classes")
        if folder is not None and Path(folder).is_dir():
            yield from shard_notes(Path(folder), key)
    arrays = planned_arrays(recipe)
    if arrays is not None and is_onnx(recipe.source) and recipe.cut.start is None:
        yield from order_notes(recipe.source)
    if recipe.source.preprocess == "none" and recipe.data.train is not None and arrays is None:
        yield "source.preprocess is 'none': images are fed as 0..255; say what the model was trained on (--preprocess)"


def _words(form: Format) -> str:
    return " and ".join((*precisions_of(form), "auto"))
