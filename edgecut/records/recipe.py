"""What to do to which model. Every default of the product lives here, once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from edgecut.errors import RequestError
from edgecut.records.data import Data as Data
from edgecut.records.data import Kind as Kind
from edgecut.records.data import Target as Target
from edgecut.records.deprecated import in_new_words
from edgecut.records.document import Channels, Finite, Record, Seconds, SizeBytes, check_order, parse, read_toml

Precision = Literal["float32", "float16", "dynamic", "int8", "int16x8"]
# "auto": int8, mended until budget.accuracy_drop holds.
Wanted = Literal["float32", "float16", "dynamic", "int8", "int16x8", "auto"]
Format = Literal["tflite", "onnx"]
# What a recipe asks for: a file's format, or the C that is generated from the int8 .tflite file.
Exported = Literal["tflite", "onnx", "c"]
# Who makes the integers of an int8 .onnx file: TFLite's converter, or ONNX Runtime's static quantization.
Quantizer = Literal["tflite", "ort"]
LayerRef = str | int
Size = Annotated[int, Field(ge=1)]
InputShape = tuple[Size, ...] | dict[str, tuple[Size, ...]]
SCHEMA = "edgecut.recipe/1"


class CustomPreprocess(Record):
    """The source model's preprocessing x -> x * scale + offset, per channel after reordering.

    Of arrays: one number, or one for each place of the last axis; of a mean and a deviation 1 / std and -mean / std.
    """

    scale: Finite | tuple[Finite, ...] = 1.0
    offset: Finite | tuple[Finite, ...] = 0.0
    order: Literal["rgb", "bgr"] = "rgb"

    @field_validator("scale")
    @classmethod
    def _pixels_differ(cls, scale: float | tuple[float, ...]) -> float | tuple[float, ...]:
        if 0 in (scale if isinstance(scale, tuple) else (scale,)):
            shown = list(scale) if isinstance(scale, tuple) else scale
            raise ValueError(f"expected numbers other than 0, under which every pixel is the same, found {shown}")
        return scale


Preprocess = Literal["tf", "torch", "caffe", "raw", "none"] | CustomPreprocess


class Source(Record):
    """The model to start from, and what it was trained on. licence: its SPDX identifier, or words.

    Of an .onnx file: shape, of its input without the batch, or of each by name, where the file leaves sizes open;
    dequantize: take a quantized one, as floats.
    """

    model: str
    preprocess: Preprocess = "none"
    sha256: str = ""
    licence: str = ""
    unsafe: bool = False
    shape: InputShape | None = None
    dequantize: bool = False


class Replacement(Record):
    """A range of layers "a..b", and the file of the model that takes its place."""

    range: str
    with_: str = Field(alias="with")


class Cut(Record):
    """Which part of the graph stays."""

    to: LayerRef | tuple[LayerRef, ...] | None = None
    start: LayerRef | tuple[LayerRef, ...] | None = Field(default=None, alias="from")
    drop: tuple[str, ...] = ()
    replace: tuple[Replacement, ...] = ()


class Stem(Record):
    """What the device feeds, and how the model is made to take it.

    order: what the channels are, by default gray, R G B or R G B A; YUV is BT.601 in full range. resolution: reuse
    the weights at another size; stride: a smaller first stride; nearest, bilinear, average: the source at its own size
    on repeated, interpolated or averaged pixels; fit: a new first convolution, for which kernel, stride, filters and
    batch_norm are.
    """

    channels: Channels | None = None
    order: Literal["gray", "rgb", "bgr", "yuv", "rgba"] | None = None
    size: tuple[int, int] | None = None
    resolution: Literal["reuse", "stride", "nearest", "bilinear", "average", "fit"] = "reuse"
    pixels: Literal["normalized", "raw"] = "normalized"
    kernel: int | None = Field(default=None, ge=1)
    stride: int | None = Field(default=None, ge=1)
    filters: int | None = Field(default=None, ge=1)
    batch_norm: bool = False

    @field_validator("size")
    @classmethod
    def _size_is_positive(cls, size: tuple[int, int] | None) -> tuple[int, int] | None:
        if size is not None and min(size) < 1:
            raise ValueError(f"height and width are at least 1, found {list(size)}")
        if size is not None and max(size) > 65_535:  # no sensor is near it, and no array can hold many more
            raise ValueError(f"height and width are at most 65535, found {list(size)}")
        return size

    @model_validator(mode="after")
    def _order_has_its_channels(self) -> Stem:
        check_order(self.order, self.channels)
        return self

    @property
    def is_edit(self) -> bool:
        """Whether it asks for anything but the source's own input."""
        return self != Stem()

    @property
    def uses_images(self) -> bool:
        """Whether images, where there are some, fit it or show what is lost to gray or another size."""
        return self.size is not None or self.resolution == "fit" or self.channels == 1 or self.order == "gray"


class Training(Record):
    """How a head is trained: so many epochs, ended early where `patience` of them bring the held-out loss no lower."""

    epochs: int = Field(default=50, ge=1)
    batch: int = Field(default=64, ge=1)
    learning_rate: Finite = Field(default=1e-3, gt=0)
    patience: int = Field(default=5, ge=1)


class Head(Record):
    """The small head behind the cut. classes: its outputs, whatever data.target says that they are.

    train: ridge, in closed form; fit, on from there by Adam on cached features; distil, the same with what a linear
    head on the source's own final features answers; finetune, ridge, then the model from the layer `unfreeze` on;
    none, random weights.
    """

    classes: int = Field(ge=1)
    activation: Literal["softmax", "logits"] = Field(default="softmax", validate_default=True)
    pool: Literal["avg", "max", "none"] = "avg"
    hidden: tuple[int, ...] = ()
    train: Literal["ridge", "fit", "distil", "finetune", "none"] = "ridge"
    training: Training = Training()
    unfreeze: str | None = None

    @field_validator("activation")
    @classmethod
    def _softmax_tells_two_apart(cls, activation: str, values: ValidationInfo) -> str:
        if activation == "softmax" and values.data.get("classes") == 1:
            raise ValueError("softmax tells at least 2 classes apart, and classes is 1; set 'logits'")
        return activation

    @model_validator(mode="after")
    def _ridge_is_linear(self) -> Head:
        if self.hidden and self.train in {"ridge", "finetune"}:
            raise ValueError("hidden layers can't be fitted by ridge; set train = 'fit' or leave hidden out")
        if (self.unfreeze is None) == (self.train == "finetune"):
            raise ValueError("unfreeze is the layer from which finetune trains on; set both or none")
        return self


class Prune(Record):
    """Which part of the weights training sets to zero, and how.

    schedule: constant, from the first step on; polynomial, rising by Zhu & Gupta's cubic (arXiv 1710.01878) over the
    first half of the epochs. pattern: any weights; 2:4, two of any four consecutive input channels; block, in blocks of
    `block` (inputs, outputs), which TFMOT has for Dense layers alone.
    """

    sparsity: float = Field(default=0.5, gt=0, lt=1)
    schedule: Literal["constant", "polynomial"] = "polynomial"
    pattern: Literal["any", "2:4", "block"] = "any"
    block: tuple[int, int] = (4, 1)

    @model_validator(mode="after")
    def _pattern_fits(self) -> Prune:
        if self.pattern == "2:4" and self.sparsity != 0.5:
            raise ValueError(f"2:4 makes half of the weights zero; leave sparsity out, found {self.sparsity}")
        if min(self.block) < 1 or self.block == (1, 1):
            raise ValueError(f"a block has more than one weight, found {list(self.block)}")
        return self


class Cluster(Record):
    """How many values the weights of a layer share, or of a filter after quantization-aware training."""

    clusters: int = Field(default=16, ge=3, le=256)


class Compress(Record):
    """Training that makes the model smaller or int8 truer: pruning, then clustering, then quantization-aware training.

    epochs: of each of them, fewer where the loss on held-out training images stops falling for `patience` epochs. skip:
    layers that are left as they are.
    """

    prune: Prune | None = None
    cluster: Cluster | None = None
    qat: bool = False
    epochs: int = Field(default=6, ge=1)
    batch: int = Field(default=32, ge=1)
    learning_rate: Finite = Field(default=3e-4, gt=0)
    patience: int = Field(default=2, ge=1)
    skip: tuple[str, ...] = ()

    @property
    def is_asked(self) -> bool:
        """Whether there is anything to train."""
        return self.prune is not None or self.cluster is not None or self.qat


class Export(Record):
    """The files to write: each format in each precision; c of the int8 .tflite file. quantizer: of int8 .onnx files."""

    formats: tuple[Exported, ...] = Field(default=("tflite",), min_length=1)
    precisions: tuple[Wanted, ...] = Field(default=("float32", "int8"), min_length=1)
    quantizer: Quantizer = "tflite"

    @field_validator("formats", "precisions")
    @classmethod
    def _each_once(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(values))

    @property
    def pads_with_values(self) -> bool:
        """Whether the body may hold PADV2, the least work but not for every runtime; one body makes all files.

        TFLM has none of 16 bits, and XNNPACK none at all: raw RGB into MobileNetV1 at 224 takes 1.02 of the time of
        the network behind a Rescaling with it in float32, and 1.007 with a 1x1 convolution instead, but in int8 1.017
        and 1.029 (CIFAR-10 ResNet about the same; two runs of one file differed by .006).
        """
        return "int16x8" not in self.precisions and not {"int8", "auto"}.isdisjoint(self.precisions)


class Bench(Record):
    """How latency is measured.

    threads: of the runtime; None is one where latency is measured, and what a device's figures are of where it is
    estimated. runners: machines and simulators besides this host, each as [PROFILE=]RUNNER. timeout_s: how long one of
    them may take for a file; the slowest case known is int16x8 at 54 times the time of int8.
    """

    runs: int = Field(default=50, ge=1)
    warmup: int = Field(default=10, ge=0)
    threads: int | None = Field(default=None, ge=1)
    runners: tuple[str, ...] = ()
    timeout_s: Seconds = Field(default=1800.0, gt=0)

    @property
    def threads_here(self) -> int:
        """The threads of what is measured."""
        return self.threads or 1


class Budget(Record):
    """The limits that a build is checked against."""

    accuracy_drop: float | None = Field(default=None, ge=0, le=1)
    size_bytes: SizeBytes | None = None
    arena_bytes: SizeBytes | None = None
    latency_s: Seconds | None = None


LONGEST_NAME = 100
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: whatever ending follows.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{k}" for port in ("com", "lpt") for k in range(10))}


def is_reserved(name: str) -> bool:
    """Whether Windows takes a file of that name, with any ending, for a device."""
    return name.lower() in _DEVICES


class Recipe(Record):
    """One whole request."""

    schema_: Literal["edgecut.recipe/1"] = Field(default="edgecut.recipe/1", alias="schema")
    name: str = Field(default="model", pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")
    source: Source
    cut: Cut = Cut()
    stem: Stem = Stem()
    head: Head | None = None
    data: Data = Data()
    compress: Compress = Compress()
    export: Export = Export()
    bench: Bench = Bench()
    budget: Budget = Budget()

    @field_validator("name")
    @classmethod
    def _names_files_anywhere(cls, name: str) -> str:
        if is_reserved(name):
            raise ValueError(f"{name!r} is a device's name on Windows, where no file can have it; choose another")
        if len(name) > LONGEST_NAME:
            raise ValueError(f"{len(name)} letters; at most {LONGEST_NAME} leave room for the endings of files")
        return name

    @property
    def trains(self) -> bool:
        """Whether TensorFlow trains weights, rather than that a head is fitted in closed form."""
        return self.compress.is_asked or (self.head is not None and self.head.train in {"fit", "distil", "finetune"})

    @model_validator(mode="after")
    def _head_answers_the_target(self) -> Recipe:
        if self.head is None:
            return self
        if self.data.target == "input":
            raise ValueError("data.target: 'input' is what the model itself puts out again; leave [head] out")
        if self.data.target != "classes" and self.head.activation == "softmax":
            target = self.data.target
            raise ValueError(f"head.activation: softmax is for classes; set 'logits' for data.target {target!r}")
        return self


def read_recipe(path: Path, overrides: Mapping[str, object] | None = None, root: Path | None = None) -> Recipe:
    """The recipe in a TOML file, file names in it made relative to its folder, or to `root`.

    overrides: {"table.key": value}, put over the file's own values.
    Raises RequestError or DocumentError with every fault.
    """
    tables = in_new_words(read_toml(path), str(path))
    for table, key in (("source", "model"), ("data", "train"), ("data", "val"), ("data", "labels")):
        _resolve(tables.get(table), key, root or path.parent)
    cut = tables.get("cut")
    for row in cut.get("replace", ()) if isinstance(cut, dict) and isinstance(cut.get("replace"), list) else ():
        _resolve(row, "with", root or path.parent)
    return make_recipe(tables, overrides or {}, where=str(path))


def check_consent(recipe: Recipe, where: str, remedy: str) -> None:
    """Nothing, for a recipe that doesn't ask for code to be run; whoever reads it must have agreed to that elsewhere.

    remedy: how to agree. Raises RequestError.
    """
    if recipe.source.unsafe:
        raise RequestError(
            f"{where}: source.unsafe: asks to run code that comes with {recipe.source.model}; if you trust both, "
            f"{remedy}"
        )


def make_recipe(tables: Mapping[str, object], overrides: Mapping[str, object], *, where: str) -> Recipe:
    """The recipe that nested tables and {"table.key": value} overrides say together.

    Raises DocumentError with every fault, each beginning with `where`.
    """
    merged = in_new_words(tables, where)
    for dotted, value in overrides.items():
        *parents, key = dotted.split(".")
        current: dict[str, object] = merged
        for parent in parents:
            child = current.setdefault(parent, {})
            if not isinstance(child, dict):
                child = current[parent] = {}
            current = child
        current[key] = value
    return parse(Recipe, merged, where)


def _resolve(table: object, key: str, folder: Path) -> None:
    if isinstance(table, dict) and isinstance(table.get(key), str):
        value = table[key]
        if value and not value.startswith("keras:") and not Path(value).is_absolute():
            table[key] = str(folder / value)
