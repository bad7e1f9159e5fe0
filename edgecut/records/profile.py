"""What a device is: processor, memory, runtime, sensor, budget, latency facts, and where each number is from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from edgecut.records.document import Channels, Finite, Record, Seconds, SizeBytes, check_order
from edgecut.records.recipe import Format, Precision


class Cpu(Record):
    """The processor that runs the model."""

    core: str = ""
    clock_hz: int | None = Field(default=None, gt=0, le=10**12)
    cores: int | None = Field(default=None, gt=0)
    simd: str = ""


class Memory(Record):
    """ram_bytes: the chip's total. contiguous_bytes: the largest single piece, which an arena must fit.

    banks: the pieces by name; neighbours may make one contiguous piece. reserved_ram_bytes: what the firmware itself
    needs. external_ram_bytes, external_flash_bytes: on the board, outside the chip.
    """

    ram_bytes: SizeBytes | None = None
    contiguous_bytes: SizeBytes | None = None
    flash_bytes: SizeBytes | None = None
    reserved_ram_bytes: SizeBytes = 0
    external_ram_bytes: SizeBytes | None = None
    external_flash_bytes: SizeBytes | None = None
    banks: dict[str, SizeBytes] = Field(default_factory=dict)

    @property
    def largest_piece_bytes(self) -> int | None:
        """What one buffer may have: contiguous_bytes, else the largest bank, else all of the RAM."""
        pieces = (self.contiguous_bytes, max(self.banks.values(), default=None), self.ram_bytes)
        return next((size for size in pieces if size is not None), None)


class Runtime(Record):
    """What runs the file. It is part of the device: one board ran one benchmark in 601 ms and in 89 ms, by runtime.

    name: "c" is the C that edgecut makes of an int8 .tflite file. weights: how a file's weights must be quantized for
    the latency facts to hold, "" for either way.
    """

    name: Literal["tflm", "c", "litert", "onnxruntime", "vendor"]
    version: str = ""
    kernels: str = ""
    formats: tuple[Format, ...] = ("tflite",)
    precisions: tuple[Precision, ...] = ("float32", "int8")
    weights: Literal["", "per-tensor", "per-channel"] = ""


class Sensor(Record):
    """What the device feeds.

    order: what the channels are, by default gray, R G B or R G B A. dtype: int8 is the byte minus 128. range: what
    black and white are; 0 and 255 unless the dtype is float32.
    """

    height: int = Field(gt=0)
    width: int = Field(gt=0)
    channels: Channels
    order: Literal["gray", "rgb", "bgr", "yuv", "rgba"] | None = None
    dtype: Literal["uint8", "int8", "float32"] = "uint8"
    range: tuple[Finite, Finite] | None = None

    @model_validator(mode="after")
    def _feeds_pictures(self) -> Sensor:
        check_order(self.order, self.channels)
        if self.range is not None:
            low, high = sorted(self.range)
            if low == high:
                raise ValueError(f"range {list(self.range)}: black and white are the same value")
            if self.dtype == "uint8" and (low < 0 or high > 255):
                raise ValueError(f"range {list(self.range)}: uint8 holds 0 to 255")
        return self

    @property
    def order_or_default(self) -> str:
        """What the channels are."""
        return self.order or {1: "gray", 3: "rgb", 4: "rgba"}[self.channels]


class ProfileBudget(Record):
    """The device's own limits."""

    latency_s: Seconds | None = None
    arena_bytes: SizeBytes | None = None
    size_bytes: SizeBytes | None = None


Count = Annotated[int, Field(gt=0)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Calibrated(Record):
    """Prices of one precision, fitted to files that were timed on the machine (calibrate/run.py).

    tiles: rows, columns and channels of a matrix product's tile. error_p50, error_p90: the relative error that half and
    nine tenths of the chains stayed within that the fit hadn't seen. files: how many were timed. operators: which
    ones were in them. seconds: the price of one unit of each kind of work, named "group.term" as
    bench/terms.py counts it.
    """

    precision: Precision
    tiles: tuple[Count, Count, Count]
    error_p50: Factor
    error_p90: Factor
    files: int = Field(gt=0)
    operators: tuple[str, ...]
    seconds: dict[str, Price]


class Work(Record):
    """Prices of one precision, fitted to the published times of few nets (calibrate/measured.py).

    seconds: the price of one unit of each kind of work, as bench/work.py counts it, at clock_hz where that is known.
    internal_bytes, flash_bytes: what activations and weights may take before they leave the internal memory. versions:
    the factor of each version of the runtime; the one that the profile names is meant, or 1. threads: of the
    measurements, and thread_factors: of other numbers of threads, where something tells of them. nets, families: how
    many were measured on this device with this runtime; 0: the prices are lent from others. error_p50, error_p90: the
    relative error that half and nine tenths of nets of a family stay within that the fit hadn't seen. seen: the largest
    share of a measured net's time in each kind; least_s, most_s: the range of their times. What lies beyond them widens
    the band.
    """

    precision: Precision
    seconds: dict[str, Price]
    clock_hz: int | None = Field(default=None, gt=0, le=10**12)
    internal_bytes: SizeBytes | None = None
    flash_bytes: SizeBytes | None = None
    versions: dict[str, Factor] = Field(default_factory=dict)
    threads: int | None = Field(default=None, gt=0)
    thread_factors: dict[str, Factor] = Field(default_factory=dict)
    nets: int = Field(ge=0)
    families: int = Field(ge=0)
    error_p50: Factor
    error_p90: Factor
    seen: dict[str, Price] = Field(default_factory=dict)
    least_s: Price = 0.0
    most_s: Price = 0.0


class LatencyFacts(Record):
    """What the latency estimate rests on.

    conv, depthwise, dense: effective cycles per multiply-accumulate by operator class; or float32_macs_per_s and
    int8_macs_per_s: one rate for the whole model; or work: prices by precision of published nets, which count before
    these; or calibrated: prices by precision, beside which nothing else counts.
    error_p50, error_p90: the relative error that half and nine tenths of the known cases stay within. nets, families:
    how many were measured on this very device and runtime, 0 where the figures are another's. basis: in a few words, on
    what the figures were taken.
    """

    conv: Factor | None = None
    depthwise: Factor | None = None
    dense: Factor | None = None
    float32_macs_per_s: Factor | None = None
    int8_macs_per_s: Factor | None = None
    error_p50: Factor
    error_p90: Factor
    kind: Literal["measured", "published", "simulated"]
    nets: int | None = Field(default=None, ge=0)
    families: int | None = Field(default=None, ge=0)
    basis: str = ""
    work: tuple[Work, ...] = ()
    calibrated: tuple[Calibrated, ...] = ()


class ArenaFacts(Record):
    """What measured arenas are beside the rule's: ratio, the middle of measured / estimate of some files.

    error: the relative error that each file stayed within, the ratio made of the others.
    """

    ratio: float = Field(gt=0, allow_inf_nan=False)
    error: float = Field(gt=0, allow_inf_nan=False)
    files: Count


class Reference(Record):
    """Where a field's number is from; field may be a table ("memory.banks"), for all numbers below it.

    A profile's file may name several with commas between them; here each has a reference of its own.
    """

    field: str
    what: str


class Profile(Record):
    """One device with one runtime. chip: by which it is found, too. extends: what it was a variant of, "" for none."""

    schema_: Literal["edgecut.profile/1"] = Field(default="edgecut.profile/1", alias="schema")
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str
    chip: str = ""
    extends: str = ""
    class_: Literal["microcontroller", "linux", "android", "npu", "host"] = Field(alias="class")
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    runtime: Runtime
    sensor: Sensor | None = None
    budget: ProfileBudget = ProfileBudget()
    latency: LatencyFacts | None = None
    arena: ArenaFacts | None = None
    sources: tuple[Reference, ...] = ()

    @field_validator("sources", mode="after")
    @classmethod
    def _one_field_each(cls, rows: tuple[Reference, ...]) -> tuple[Reference, ...]:
        return tuple(Reference(field=field, what=row.what) for row in rows for field in fields_of(row.field))

    def source_of(self, field: str) -> str:
        """Where the number at a dotted path is from: its own source, or that of the nearest table; "" without one."""
        return {row.field: row.what for row in self.sources}.get(self.sourced_by(field), "")

    def sourced_by(self, field: str) -> str:
        """The field of the source of a number: its own path, or the nearest table's; "" without one."""
        known = {row.field for row in self.sources}
        while field and field not in known:
            field = field.rpartition(".")[0]
        return field

    def number_sources(self) -> dict[str, str]:
        """Dotted path of each number that the profile states -> where it is from, "" where nobody says."""
        return {field: self.source_of(field) for field in _numbers(self.to_dict())}

    def told_once(self) -> tuple[dict[str, object], dict[str, str]]:
        """(the profile's tables in which each source is one row, for all its fields, remarks on them).

        remarks: dotted path of a number, or of a source's row, -> "[n]", the number of the source.
        """
        sources = {field: source for field, source in self.number_sources().items() if source}
        fields: dict[str, list[str]] = {source: [] for source in sources.values()}
        for row in self.sources:
            fields.setdefault(row.what, []).append(row.field)
        marks = {source: f"[{number}]" for number, source in enumerate(fields, 1)}
        rows = [{"field": ", ".join(names), "what": source} for source, names in fields.items()]
        remarks = {field: marks[source] for field, source in sources.items()}
        remarks |= {f"sources.{number}": mark for number, mark in enumerate(marks.values())}
        return {**self.to_dict(), "sources": rows}, remarks


def fields_of(field: str) -> list[str]:
    """The dotted paths that a source's field names."""
    return [name.strip() for name in field.split(",")]


def _numbers(tables: Mapping[str, object], before: str = "") -> Iterator[str]:
    for key, value in tables.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{before}{key}.")
        elif isinstance(value, list):
            # The tables of a list share their source.
            yield from (path for row in value if isinstance(row, Mapping) for path in _numbers(row, f"{before}{key}."))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{before}{key}"
