"""`edgecut new`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import click
from pydantic_core import PydanticUndefined

from edgecut.cli.completion import files, profiles
from edgecut.cli.files import check_target
from edgecut.cli.flags import FLAGS, Overrides, recipe_flags
from edgecut.cli.output import Output, with_output
from edgecut.cli.request import read_source
from edgecut.records.document import Record
from edgecut.records.escapes import terminal_line
from edgecut.records.faults import record_in
from edgecut.records.profile import Profile
from edgecut.records.profile_files import find_profile, shadow_notes
from edgecut.records.recipe import Recipe, read_recipe
from edgecut.records.toml_text import toml_value
from edgecut.whole import write_whole

# What stands behind a commented key that has no default.
EXAMPLES: dict[str, object] = {
    "bench.threads": 1,
    "source.shape": [3, 224, 224],
    "cut.to": "layer_name",
    "cut.from": "layer_name",
    "stem.channels": 1,
    "stem.order": "gray",
    "stem.size": [96, 96],
    "stem.kernel": 3,
    "stem.stride": 1,
    "stem.filters": 32,
    "head.classes": 10,
    "head.unfreeze": "layer_name",
    "data.train": "data/train",
    "data.kind": "arrays",
    "data.val": "data/val",
    "data.image_column": "image",
    "data.label_column": "label",
    "data.labels": "labels.txt",
    "data.units": "mm",
    "data.threshold": "fpr=0.01",
    "data.positive": "person",
    "data.limit": [2000, 1000],
    "compress.prune": {"sparsity": 0.5, "schedule": "polynomial", "pattern": "any"},
    "compress.cluster": {"clusters": 16},
    "budget.accuracy_drop": 0.02,
    "budget.size_bytes": "300 KiB",
    "budget.arena_bytes": "256 KiB",
    "budget.latency_s": "50 ms",
}
TABLES: dict[str, str] = {
    "source": "The model to start from.",
    "cut": "Which layers stay.",
    "stem": "What the device feeds.",
    "head": "The classifier behind the cut. Leave the table out to keep the model's own outputs.",
    "data": "Labelled images or arrays: class folders, .parquet, .arrow or .tar, or an .npz with x_train, y_train.",
    "compress": "Training that makes the model smaller, or truer in int8. Leave all three out to train nothing.",
    "export": "The files to write: each format in each precision.",
    "bench": "How latency is measured.",
    "budget": "Limits. A build that misses one ends with exit code 1.",
}
# For keys without a flag; the others are described where the flag is.
COMMENTS: dict[str, str] = {
    "schema": "",
    "source.model": ".keras, .h5, .onnx, or keras:NAME?weights=imagenet&input_shape=96,96,3",
    "source.sha256": "Refuse another file.",
    "source.licence": "Of the model, for the model card.",
    "cut.replace": "[{range = 'a..b', with = 'file.keras'}]",
    "head.hidden": "Sizes of dense layers in between.",
    "head.activation": "softmax | logits",
    "head.training": "Of fit, distil and finetune; patience in epochs without a lower loss on held-out images.",
    "data.image_column": "Of Parquet and Arrow files, where several columns hold pictures.",
    "data.label_column": "Of the same; several columns of numbers are values.",
    "data.licence": "Of the images, for the model card.",
    "data.val_fraction": "What is split off for validation where there is no val.",
    "compress.prune": "Weights set to zero: constant | polynomial; any | 2:4 | block, with block = [4, 1], in Dense.",
    "compress.cluster": "Weights of a layer share so many values.",
    "compress.qat": "Quantization-aware training: the int8 file has the trained ranges.",
    "compress.epochs": "At most, of each of the three.",
    "compress.batch": "Images in a step.",
    "compress.learning_rate": "",
    "compress.patience": "Epochs without a better loss on held-out training images, then it ends.",
    "compress.skip": "Layers that are left as they are.",
    "budget.accuracy_drop": "Against the float model before [compress], in the same metric.",
    "budget.size_bytes": "Of the file.",
    "budget.arena_bytes": "Memory for activations on a microcontroller.",
    "budget.latency_s": "Of one inference.",
}


@click.command(
    "new",
    epilog="\b\nExample:\n  edgecut new mobilenet.keras --preprocess tf --to conv_pw_5_relu --profile nucleo-l4r5zi",
)
@click.argument("model", shell_complete=files)
@click.option(
    "--profile",
    "profile_name",
    metavar="ID",
    shell_complete=profiles,
    help="Take the device's image, formats and limits.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("recipe.toml"),
    show_default=True,
    help="The recipe to write.",
)
@click.option("--force", is_flag=True, help="Replace an existing OUT.")
@recipe_flags()
@with_output
def command(
    output: Output, *, model: str, profile_name: str | None, out: Path, force: bool, overrides: Overrides
) -> int:
    """Write a recipe with every key: those that are set, and the others as comments with their defaults.

    What a flag or the profile says is set.
    """
    from edgecut.graph.saved import kind_of

    check_target(out, force=force)
    kind_of(model)
    profile = find_profile(profile_name) if profile_name else None
    for sentence in shadow_notes([profile] if profile else []):
        output.note(sentence)
    given = {**_profile_keys(profile, read_source(model, overrides)), **overrides}
    settings = {"name": read_source(model, given).name, **given, "source.model": model}
    text = recipe_text(_relative(settings, out.parent), profile)
    write_whole(out, text.encode())
    recipe = read_recipe(out)
    flags = (
        f"{' --unsafe' if recipe.source.unsafe else ''}{f' --profile {quote(profile_name)}' if profile_name else ''}"
    )
    ready = f"edgecut build {quote(str(out))}{flags} -o dist"
    output.remarks(f"wrote {out}; edit it, then: {ready}")
    output.document({"path": str(out), "recipe": recipe.to_dict()})
    return 0


def recipe_text(settings: Overrides, profile: Profile | None = None) -> str:
    """A recipe's TOML text with every key of the record, set or as a comment.

    settings: {"table.key": value}, the keys that are set.
    """
    lines = ["# A recipe for edgecut: what to do to which model. `edgecut plan FILE` checks it."]
    if profile is not None:
        lines.append(f"# For {profile.id}: {terminal_line(profile.title)}.")
    top = [name for name in Recipe.model_fields if record_in(Recipe.model_fields[name].annotation) is None]
    lines += _key_lines(Recipe, "", settings, top)
    for name, field in Recipe.model_fields.items():
        inner = record_in(field.annotation)
        if inner is None or not issubclass(inner, Record):
            continue
        is_set = name in {"source"} or any(key.startswith(f"{name}.") for key in settings)
        optional = field.default is None and not is_set
        lines += ["", f"# {TABLES[name]}", f"{'# ' if optional else ''}[{name}]"]
        lines += _key_lines(inner, f"{name}.", settings, list(inner.model_fields))
    return "\n".join(lines) + "\n"


def _key_lines(record: type[Record], prefix: str, settings: Overrides, names: list[str]) -> Iterator[str]:
    for name in names:
        field = record.model_fields[name]
        key = f"{prefix}{field.alias or name}"
        default = None if field.default is PydanticUndefined else field.default
        default = default.to_dict() if isinstance(default, Record) else default
        value = settings.get(key, default if default is not None else EXAMPLES.get(key))
        parts = {k.removeprefix(f"{key}."): v for k, v in settings.items() if k.startswith(f"{key}.")}
        is_set = key in settings or bool(parts) or key == "schema"
        assignment = f"{field.alias or name} = {toml_value(parts or value)}"
        comment = COMMENTS[key] if key in COMMENTS else _flag_help(key)
        yield f"{'' if is_set else '# '}{assignment}{f'  # {comment}' if comment else ''}"


def _flag_help(key: str) -> str:
    return next(flag.help for flag in FLAGS if flag.key == key)


def _profile_keys(profile: Profile | None, recipe: Recipe) -> dict[str, object]:
    """What a device says about a recipe: its image, unless arrays feed the model, its files, its limits."""
    from edgecut.bench.sensor import sensor_keys
    from edgecut.pipeline.model_faults import planned_arrays

    if profile is None:
        return {}
    keys: dict[str, object] = {
        "export.formats": list(profile.runtime.formats[:1]),
        "export.precisions": [p for p in profile.runtime.precisions if p in {"float32", "int8"}]
        or list(profile.runtime.precisions),
    }
    budget = profile.budget.model_dump(exclude_none=True)
    sensed = sensor_keys(profile, recipe.source.preprocess) if planned_arrays(recipe) is None else {}
    return keys | sensed | {f"budget.{key}": value for key, value in budget.items()}


def _relative(settings: Overrides, folder: Path) -> dict[str, object]:
    """The settings with file names relative to the folder that the recipe is written to."""
    found = dict(settings)
    for key in ("source.model", "data.train", "data.val", "data.labels"):
        name = found.get(key)
        if isinstance(name, str) and not name.startswith("keras:") and not Path(name).is_absolute():
            found[key] = Path(os.path.relpath(name, folder)).as_posix()
    return found
