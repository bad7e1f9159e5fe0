"""The flags that set recipe keys: one row each, shared by the commands that take a recipe."""

from __future__ import annotations

import functools
import inspect
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

import click

from edgecut.cli.completion import profiles, values_of
from edgecut.cli.output import OLD_WORDS
from edgecut.records.deprecated import old_sentence

Parse: TypeAlias = Callable[[str], object]
Overrides: TypeAlias = Mapping[str, object]  # {"table.key": value}, as TOML would have the value
R = TypeVar("R")


class Flag(NamedTuple):
    """A flag and the recipe key that it sets.

    parse: its text -> the key's value, raising ValueError with what is expected; None for a switch that sets
    `value`. several: the flag may be repeated, each time adding to a list. instead: of a flag that got another name,
    the one to write; the old one works, the help leaves it out, and the command says so.
    """

    flags: tuple[str, ...]
    key: str
    parse: Parse | None
    metavar: str
    help: str
    several: bool = False
    value: object = True
    instead: str = ""


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError as exc:
        raise ValueError(f"{text!r} is no whole number") from exc


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def names_or_file(text: str) -> str | list[str]:
    """data.labels as a text says it: a file, or the names themselves with commas."""
    return _words(text) if "," in text and not Path(text).exists() else text


def _one_or_words(text: str) -> str | list[str]:
    return _words(text) if "," in text else text


def _threshold(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _units(text: str) -> list[int]:
    return [_integer(word) for word in _words(text)]


def _layers(text: str) -> str | int | list[str | int]:
    """One layer or a list: names, or whole numbers for positions."""
    refs: list[str | int] = [int(word) if re.fullmatch(r"[+-]?\d+", word) else word for word in _words(text)]
    if not refs:
        raise ValueError("no layer is named; give a name, a position, or several with commas")
    return refs[0] if len(refs) == 1 else refs


def _size(text: str) -> list[int]:
    match = re.fullmatch(r"(\d+)(?:[xX×](\d+))?", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no size; height x width is expected, such as 96x96")
    return [int(match[1]), int(match[2] or match[1])]


def _shape(text: str) -> list[int] | dict[str, list[int]]:
    """Sizes joined by x, or NAME=sizes for several inputs, with commas."""
    parts = [part.rpartition("=") for part in _words(text)]
    sizes = [re.fullmatch(r"\d+(?:[xX×]\d+)*", part[2].strip()) for part in parts]
    named = all(part[1] for part in parts)
    if not parts or None in sizes or not (named or len(parts) == 1):
        raise ValueError(f"{text!r} is no shape; sizes such as 3x224x224 are expected, or NAME=3x224x224,OTHER=10")
    shapes = [[int(size) for size in re.split("[xX×]", match[0])] for match in sizes if match is not None]
    return dict(zip((part[0].strip() for part in parts), shapes, strict=True)) if named else shapes[0]


def _limit(text: str) -> int | list[int]:
    counts = [_integer(word) for word in _words(text)]
    if len(counts) not in {1, 2}:
        raise ValueError(f"{text!r} is no limit; N or N_TRAIN,N_VAL is expected, such as 2000,1000")
    return counts[0] if len(counts) == 1 else counts


def _preprocess(text: str) -> object:
    return toml_value(text) if text.lstrip().startswith("{") else text


def toml_value(text: str) -> object:
    """The value that a TOML text says; text that isn't TOML is taken as it stands: words need no quotes.

    Raises ValueError for a list, table or quoted text that isn't closed or has a fault inside.
    """
    try:
        tables = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError as exc:
        if text.lstrip()[:1] in {"[", "{", '"', "'"}:
            raise ValueError(f"{text!r} is no TOML value: {exc}") from exc
        return text
    value: object = tables["value"]
    return value if list(tables) == ["value"] else text


FLAGS: tuple[Flag, ...] = (
    Flag(("--name",), "name", str, "NAME", "What the model's files are called."),
    Flag(("--to",), "cut.to", _layers, "LAYER", "Cut behind this layer: a name, a position, or several, with commas."),
    Flag(("--from",), "cut.from", _layers, "LAYER", "Start behind this layer."),
    Flag(("--drop",), "cut.drop", _words, "A..B", "Leave these layers out.", several=True),
    Flag(("--channels",), "stem.channels", _integer, "N", "Channels of the device's image: 1, 3 or 4."),
    Flag(("--gray",), "stem.channels", None, "", "The same as --channels 1.", value=1),
    Flag(("--size",), "stem.size", _size, "HxW", "Height x width of the device's image."),
    Flag(("--order",), "stem.order", str, "ORDER", "What the channels are: gray, rgb, bgr, yuv (BT.601) or rgba."),
    Flag(
        ("--resolution",),
        "stem.resolution",
        str,
        "MODE",
        "How another size is reached: reuse, stride, nearest, bilinear, average or fit.",
    ),
    Flag(("--kernel",), "stem.kernel", _integer, "K", "With --resolution fit: the new kernel's side."),
    Flag(("--stride",), "stem.stride", _integer, "S", "With --resolution fit: the new stride."),
    Flag(("--filters",), "stem.filters", _integer, "N", "With --resolution fit: filters, brought back by a 1x1."),
    Flag(("--batch-norm",), "stem.batch_norm", None, "", "With --resolution fit: BatchNormalization behind it."),
    Flag(("--pixels",), "stem.pixels", str, "raw|normalized", "What the device feeds."),
    Flag(
        ("--preprocess",),
        "source.preprocess",
        _preprocess,
        "MODE",
        "What the source model was trained on: tf, torch, caffe, raw, none, or a table {scale = ..., ...}.",
    ),
    Flag(("--unsafe",), "source.unsafe", None, "", "Load a model that runs its own code (Lambda layers)."),
    Flag(
        ("--shape",),
        "source.shape",
        _shape,
        "3x224x224",
        "An .onnx file's input without the batch, where the file leaves sizes open; NAME=..., for several.",
    ),
    Flag(("--dequantize",), "source.dequantize", None, "", "Take a quantized .onnx file, as a model of floats."),
    Flag(("--classes",), "head.classes", _integer, "N", "Put a new head with N classes behind the cut."),
    Flag(
        ("--head",), "head.train", str, "MODE", "How the head gets its weights: ridge, fit, distil, finetune or none."
    ),
    Flag(("--hidden",), "head.hidden", _units, "N,...", "With --head fit or distil: hidden layers of so many units."),
    Flag(("--unfreeze",), "head.unfreeze", str, "LAYER", "With --head finetune: train from this layer on."),
    Flag(("--pool",), "head.pool", str, "avg|max|none", "What is between the cut and the head."),
    Flag(
        ("--data",),
        "data.train",
        str,
        "PATH",
        "Labelled images or arrays: class folders, .npz, .parquet, .arrow or .tar.",
    ),
    Flag(("--val",), "data.val", str, "PATH", "Images on which accuracy is measured."),
    Flag(("--kind",), "data.kind", str, "KIND", "What feeds the model: pictures, or arrays of its own input shapes."),
    Flag(("--labels",), "data.labels", names_or_file, "FILE|A,B", "Class names: a file, one per line, or with commas."),
    Flag(("--units",), "data.units", _one_or_words, "UNIT|A,B", "Units of an output's values: one, or one for each."),
    Flag(
        ("--threshold",),
        "data.threshold",
        _threshold,
        "N|f1|fpr=N",
        "Above which score a class or tag is said: a number, or chosen on half of the validation images.",
    ),
    Flag(("--positive",), "data.positive", str, "NAME", "The class of two that a score above the threshold says."),
    Flag(
        ("--target",),
        "data.target",
        str,
        "KIND",
        "What the labels are: classes, values, tags, or none: features of the source, or input, as of an autoencoder.",
    ),
    Flag(("--limit",), "data.limit", _limit, "N[,M]", "Use only so many images (train, validation)."),
    Flag(("--calibration",), "data.calibration", _integer, "N", "Images that set the int8 ranges."),
    Flag(("--seed",), "data.seed", _integer, "N", "Seed of splits and samples."),
    Flag(("--format",), "export.formats", _words, "tflite,onnx", "Files to write.", several=True),
    Flag(
        ("--precision",),
        "export.precisions",
        _words,
        "int8,...",
        "float32, float16, dynamic, int8, int16x8, or auto: int8 mended until the accuracy holds.",
        several=True,
    ),
    Flag(
        ("--quantizer",),
        "export.quantizer",
        str,
        "tflite|ort",
        "Who makes the integers of int8 .onnx files: TFLite's converter or ONNX Runtime.",
    ),
    Flag(("--runs",), "bench.runs", _integer, "N", "Timed runs per file."),
    Flag(("--warmup",), "bench.warmup", _integer, "N", "Runs before the timed ones."),
    Flag(
        ("--threads",),
        "bench.threads",
        _integer,
        "N",
        "Threads of the runtime; also of devices of which it is known what they change.",
    ),
    Flag(
        ("--runner",),
        "bench.runners",
        _words,
        "RUNNER",
        "Also measure by: ssh://user@host, adb, tflm, qemu or vela; PROFILE=RUNNER says whose device it is.",
        several=True,
    ),
    Flag(("--timeout",), "bench.timeout_s", str, "TIME", "How long a runner may take for a file, such as '10 min'."),
)


class Parsed(click.ParamType):
    """A click type out of a function that raises ValueError with what is wrong."""

    def __init__(self, parse: Parse, name: str) -> None:
        """name: what the help shows for the value."""
        self.parse = parse
        self.name = name

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """The parsed value; a usage error where the text isn't what is expected."""
        try:
            return self.parse(value) if isinstance(value, str) else value
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


def recipe_flags(*only: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Adds flags of FLAGS to a command, which gets them as the argument `overrides`, {"table.key": value}.

    only: the flags to add, such as "--preprocess" or "--set"; all of them and --set if none is named.
    """
    chosen = {name: flag for name, flag in _NAMES.items() if not only or flag.flags[0] in only}

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(function)
        def run(*arguments: object, set_: Sequence[tuple[str, object]] = (), **options: object) -> R:
            values = {name: options.pop(name) for name in chosen}
            return function(*arguments, overrides=overrides_of(values) | dict(set_), **options)

        wrapped: Callable[..., R] = run if only and "--set" not in only else _SET(run)
        for name, flag in reversed(chosen.items()):
            wrapped = _option(name, flag)(wrapped)
        return wrapped

    return decorate


def grouped(**records: Callable[..., object]) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Gives a command the options that a record is made of as one argument: name=Record.

    It stands right above the command, below with_output and recipe_flags.
    """

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(function)
        def run(*arguments: object, **options: object) -> R:
            groups = {}
            for name, record in records.items():
                fields = inspect.signature(record).parameters
                groups[name] = record(**{field: options.pop(field) for field in fields if field in options})
            return function(*arguments, **groups, **options)

        return run

    return decorate


def overrides_of(values: Mapping[str, object]) -> dict[str, object]:
    """The recipe keys that the flags set. Raises click.UsageError where two flags set one key differently.

    values: of each flag, by the name of its argument; None, False or () for one that isn't there.
    """
    overrides: dict[str, object] = {}
    by: dict[str, str] = {}
    for name, value in values.items():
        flag = _NAMES[name]
        if value is None or value == () or value is False:
            continue
        if flag.several and isinstance(value, tuple):
            value = [word for part in value for word in part]
        elif flag.parse is None:
            value = flag.value
        if flag.key in by and overrides[flag.key] != value:
            raise click.UsageError(f"{by[flag.key]} and {flag.flags[0]} say different things; give one")
        overrides[flag.key] = value
        by.setdefault(flag.key, flag.flags[0])
        if flag.instead:
            click.get_current_context().meta.setdefault(OLD_WORDS, []).append(old_sentence(flag.flags[0], flag.instead))
    return overrides


def flag_of(key: str) -> str:
    """The flag that sets a recipe key, "--set" for a key without one of its own."""
    return next((flag.flags[0] for flag in FLAGS if flag.key == key), "--set")


def several_profiles(function: Callable[..., R]) -> Callable[..., R]:
    """Adds --profile, which may be repeated and may have commas, as the argument `profile_names`."""
    return click.option(
        "--profile",
        "profile_names",
        multiple=True,
        metavar="ID",
        shell_complete=profiles,
        callback=lambda ctx, param, value: tuple(dict.fromkeys(w for text in value for w in _words(text))),
        help="A device: an id of `edgecut profile list` or a TOML file; may be repeated.",
    )(function)


def _option(name: str, flag: Flag) -> Callable[[Callable[..., R]], Callable[..., R]]:
    if flag.parse is None:
        return click.option(*flag.flags, name, is_flag=True, help=flag.help, hidden=bool(flag.instead))
    return click.option(
        *flag.flags,
        name,
        type=Parsed(flag.parse, flag.metavar),
        metavar=flag.metavar,
        multiple=flag.several,
        shell_complete=values_of(flag.key),
        help=flag.help,
        hidden=bool(flag.instead),
    )


def _assignment(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not re.fullmatch(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*", key):
        raise ValueError(f"{text!r} is no table.key=value")
    return key, toml_value(value.strip())


_NAMES: dict[str, Flag] = {f"flag_{flag.flags[0].lstrip('-').replace('-', '_')}": flag for flag in FLAGS}
_SET = click.option(
    "--set",
    "set_",
    multiple=True,
    metavar="KEY=VALUE",
    type=Parsed(_assignment, "KEY=VALUE"),
    help="Set any recipe key, such as budget.latency_s='50 ms'.",
)
