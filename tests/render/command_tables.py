"""What each command shows of fixed records, without running anything: the golden files are made of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rich.console import Console, RenderableType

from edgecut.bench.at_cut import CutCost
from edgecut.bench.measure import on_device
from edgecut.calibrate.own_nets import Fit
from edgecut.cli.doctor import package_table, program_table
from edgecut.records.bench_rows import BenchRow, bench_rows
from edgecut.records.comparison import Change, Comparison, Difference, OutputChange, Verdict
from edgecut.records.device_figures import device_figures
from edgecut.records.document import parse
from edgecut.records.matrix import Matrix, MatrixCell, MatrixFile, MatrixRow
from edgecut.records.measurement import Measurement, measured, missing
from edgecut.records.operating import Decision, OperatingPoint
from edgecut.records.packages import PACKAGES
from edgecut.records.prediction import PredictedOutput, Prediction, Predictions, Score
from edgecut.records.profile import LatencyFacts, Profile
from edgecut.records.profile_files import find_profile
from edgecut.records.programs import PROGRAMS, ProgramState
from edgecut.records.report import Check, Step
from edgecut.records.trial import Trial
from edgecut.render.bench_rows import bench_table
from edgecut.render.comparison import comparison_tables, ratio_table
from edgecut.render.decisions import decision_table
from edgecut.render.devices import device_table
from edgecut.render.explained import explanation_tables
from edgecut.render.front import front_tables
from edgecut.render.graphs import OperatorRow, artifact_parts, cost_table, operator_table, point_table
from edgecut.render.imports import import_table
from edgecut.render.kept import cache_table
from edgecut.render.lines import notes
from edgecut.render.matrix import matrix_table
from edgecut.render.operator_times import times_table
from edgecut.render.own_fit import fit_table
from edgecut.render.predictions import prediction_table
from edgecut.render.profiles import profile_table
from edgecut.render.shown import Shown
from edgecut.render.steps import step_parts
from edgecut.render.tables import check_table, measurement_table, plan_table, report_tables, step_table
from tests.pages import front, times
from tests.reports import EXPLANATION, artifact, measurements, report

WIDTHS: tuple[int | None, ...] = (60, 80, 120, None)
"""Columns of the terminal; None for a pipe."""
GOLDEN = Path(__file__).parent / "golden"
FLOAT = Path(__file__).parents[1] / "fixtures" / "tiny.float32.tflite"
LONG = "efficientnetv2-b0/block6a_se_expand_activation/Sigmoid"


@dataclass(frozen=True)
class Point:
    """What graph/cuts.py gives for a tensor."""

    position: int
    name: str
    type: str
    bypass: tuple[str, ...] = ()
    macs: int | None = 5_290_000
    shape: tuple[int | None, ...] = (None, 8, 8, 64)
    params: int = 33_600
    activation_bytes: int | None = 16_384

    @property
    def legal_start(self) -> bool:
        """Whether nothing is needed besides."""
        return not self.bypass


POINTS = (
    Point(13, "block_2_shortcut_conv", "GlobalAveragePooling2D"),
    Point(14, "an_outer_model.an_inner_model.conv", "Conv2D", ("block_2_shortcut_bn", LONG), macs=None),
    Point(115, LONG, "Activation", macs=1_230_000_000),
)
HEAD = "head on the quantized body"
TRIALS = (
    Trial(cures=(), accuracy=0.485, drop=0.1485, drop_error=0.0196, agreement=0.583, sqnr_varying=-0.6, kept=True),
    Trial(
        cures=(HEAD,), accuracy=0.637, drop=0.003, drop_error=0.01, agreement=0.896, sqnr_varying=13.9, gained=0.1455,
        kept=True,
    ),
    Trial(
        cures=(HEAD, "mse ranges"), accuracy=0.63, drop=0.01, drop_error=0.01, agreement=0.89, sqnr_varying=13.8,
        gained=-0.007,
    ),
    Trial(
        cures=(HEAD, "bias correction"), accuracy=0.64, drop=0.0, drop_error=0.004, agreement=0.95, sqnr_varying=20.1,
        gained=0.003, kept=True, chosen=True,
    ),
)  # fmt: skip
STEP = Step(
    name="cut", changed=True,
    before={"inputs": {"image": [None, 224, 224, 3]}, "outputs": {"predictions": [None, 1000]}, "params": 2_260_000},
    after={
        "inputs": {"image": [None, 224, 224, 3]}, "outputs": {"block_6_expand": [None, 28, 28, 192], LONG: [None, 4]},
        "params": 54_500, "weights_dropped": 2_205_500, "size_bytes": 268_288,
    },
    proof={"inputs": 8, "max_abs_error": 0.0, "exact": True},
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """What bench/interleaved.py measures of two files in turn."""

    first: tuple[float, ...]
    second: tuple[float, ...]
    value: float
    low: float
    high: float
    differs: bool


def profiles() -> list[Profile]:
    """Three devices of two classes."""
    board = {"title": "A board", "runtime": {"name": "tflm"}}
    facts = {"error_p50": 0.1, "error_p90": 0.21, "kind": "published", "nets": 16, "families": 6}
    return [
        parse(Profile, {"id": name, "class": kind, **board, **more}, "test")
        for name, kind, more in (
            ("b", "microcontroller", {"cpu": {"clock_hz": 120_000_000}, "memory": {"ram_bytes": "64 KiB"}}),
            ("a", "microcontroller", {"cpu": {"core": "cortex-m4"}, "chip": "STM32L4R5ZI", "latency": facts}),
            ("host", "host", {}),
        )
    ]


def _build() -> list[RenderableType]:
    marked = {"conditions": {"beyond_chance": True}}
    rows = [m.model_copy(update=marked if m.metric == "accuracy_drop" else {}) for m in report().measurements]
    return report_tables(report().model_copy(update={"measurements": tuple(rows), "trials": TRIALS}), verbose=True)


def _costs() -> list[RenderableType]:
    def figure(metric: str, value: float, error: float) -> Measurement:
        return Measurement.model_validate({
            "metric": metric, "artifact": "a", "profile": "board", "unit": "bytes" if metric == "arena" else "s",
            "value": value, "kind": "estimated", "where": "board", "method": "m", "error": error,
        })  # fmt: skip

    gone = missing("arena", "a", "a size is open", where="board", method="m", profile="board", kind="estimated")
    costs = [
        CutCost("block_2_add", figure("latency", 0.012, 0.28), figure("arena", 16_384, 0.1)),
        CutCost(LONG, figure("latency", 1.5, 0.4), figure("arena", 900_000, 0.25)),
        CutCost("pool", figure("latency", 0.2, 0.4), gone),
    ]
    states = {"block_2_add": "meets", LONG: "misses", "pool": "unknown"}
    return cost_table("board", costs, 98_304, states)


def _on_devices() -> tuple[Measurement, ...]:
    def of(
        profile: str, metric: str, value: float, kind: str, error: float | None, **conditions: object
    ) -> Measurement:
        return Measurement.model_validate({
            "metric": metric, "artifact": "m.int8.tflite", "profile": profile, "value": value, "kind": kind,
            "unit": "bytes" if metric == "arena" else "s", "where": profile, "method": "m", "error": error,
            "conditions": conditions,
        })  # fmt: skip

    return (
        of("nucleo-l4r5zi", "latency", 0.231, "estimated", 0.28, nets=16, families=6),
        of("nucleo-l4r5zi", "arena", 98_304, "measured", None),
        of("esp32-s3", "latency", 0.0451, "estimated", 0.6, nets=4, families=1),
        of("esp32-s3", "arena", 126_000, "estimated", 0.123),
        missing("latency", "m.int8.tflite", "profile 'ek-ra8d1' has no latency facts", where="ek-ra8d1",
                method="not run", profile="ek-ra8d1"),
    )  # fmt: skip


def _bench() -> list[RenderableType]:
    rows = _on_devices()
    figures = device_figures(rows, {"m.int8.tflite": 300_000}, flashed=("nucleo-l4r5zi", "esp32-s3"))
    return [device_table(figures, {}), "", measurement_table(rows)]


def bench_files() -> tuple[BenchRow, ...]:
    """Two files on three devices and this machine; one is refused by a device, and one device has no facts."""
    here = measured("latency", "m.int8.tflite", [0.0011, 0.0012, 0.0012, 0.0019], where="host", method="m")
    device = on_device(FLOAT, find_profile("nucleo-l4r5zi"), "m.float32.tflite")
    floats = measured("latency", "m.float32.tflite", [0.0041, 0.0042, 0.0042, 0.0052], where="host", method="m")
    rows = (*_on_devices(), here, *device, floats)
    figures = device_figures(
        rows, {"m.int8.tflite": 300_000, "m.float32.tflite": 1_200_000}, flashed=("nucleo-l4r5zi",)
    )
    return bench_rows(rows, figures)


def _compare() -> list[RenderableType]:
    pair = "tflite float32 / tflite int8"
    changes = (
        Change(metric="size", file=pair, a=297_984, b=89_500, unit="bytes", change=-0.7, real=True),
        Change(metric="accuracy", file=pair, a=0.8267, b=0.8133, unit="fraction", change=-0.0134, p=0.041, real=True),
        Change(metric="latency", file=pair, a=0.0123, b=0.0101, unit="s", change=-0.18, low=-0.2, high=0.01),
        Change(metric="arena", file=pair, a=None, b=38_912, unit="bytes", reason="only int8 files have an arena"),
    )
    differences = (
        Difference(what="recipe", name="cut.to", a=LONG, b="block_2_add"),
        Difference(what="input", name="m.keras", a="0123abcd" * 8, b=None),
    )
    verdicts = (Verdict(limit="size>+2%", file=pair, state="meets", found="-70.00%"),)
    outputs = (OutputChange(file=pair, inputs=64, of="seeded noise", max_abs_error=0.0123, top1_changes=3),)
    found = Comparison(
        a="released", b="dist", equal=False, changes=changes, outputs=outputs, differences=differences,
        verdicts=verdicts, notes=("accuracy was measured on 500 images of photos",),
    )  # fmt: skip
    return comparison_tables(found)


def _matrix() -> Matrix:
    cells = (
        MatrixCell(profile="nucleo-l4r5zi", state="misses", latency=0.25, latency_kind="estimated", latency_error=0.32,
                   arena_bytes=5_120, arena_kind="measured"),
        MatrixCell(profile="host", state="no limit", latency=0.0002, latency_kind="measured"),
    )  # fmt: skip
    files = (
        MatrixFile(
            name="bell.int8.tflite", format="tflite", precision="int8", size_bytes=89_500, accuracy=0.8, cells=cells
        ),
        MatrixFile(
            name="bell.float32.tflite",
            format="tflite",
            precision="float32",
            size_bytes=297_984,
            accuracy=0.825,
            cells=cells,
        ),
    )
    missed = Check(metric="size", artifact="bell.int8.tflite", limit=512, value=89_500, unit="bytes", state="misses",
                   basis="measured")  # fmt: skip
    rows = (
        MatrixRow(name="a", settings={"cut.to": LONG}, status="misses", code=1, bundle="a", files=files,
                  checks=(missed,), title="bell", unsupported={"esp32": "takes tflite in int8"}),
        MatrixRow(name="b", settings={"cut.to": "b"}, status="failed", code=3, error="no layer 'b'"),
    )  # fmt: skip
    return Matrix(edgecut="1", name="bell", axes={"cut.to": (LONG, "b")}, rows=rows)


def _run() -> list[RenderableType]:
    def answered(*scores: tuple[int, str, float]) -> PredictedOutput:
        found = tuple(Score(index=k, label=label, value=value) for k, label, value in scores)
        return PredictedOutput(output="scores", kind="classes", shape=(10,), scores=found)

    rows = (
        Prediction(input="photos/a.jpg", outputs=(answered((3, "a cat", 0.912), (5, "a dog", 0.0503)),)),
        Prediction(
            input=f"photos/{'holiday-' * 5}beach.jpg", outputs=(answered((7, "a boat", 0.5), (1, "sea", 0.25)),)
        ),
    )
    found = Predictions(file="m.int8.tflite", sha256="", takes="96×96×1 gray int8", labels_from="", predictions=rows)
    return [prediction_table(found), "", "inputs of photos/", f"{found.file} takes {found.takes}"]


@dataclass(frozen=True)
class Refused:
    """An operator that no layer computes."""

    operator: str
    places: tuple[str, ...]
    reason: str


def _import() -> list[RenderableType]:
    refused = Refused("NonMaxSuppression", ("/head/nms", "/head/nms_1", "/a", "/b"), "no layer computes it")
    counts = {"Conv": 52, "Clip": 35, "NonMaxSuppression": 4}
    return [import_table(counts, {"Conv": "Conv2D, DepthwiseConv2D", "Clip": "ReLU"}, (refused,))]


def _operators() -> list[RenderableType]:
    rows = [
        OperatorRow(0, "DEPTHWISE_CONV_2D", "a/Relu;b/BiasAdd", (1, 48, 48, 8), "int8", 498_000),
        OperatorRow(1, "FFT", "c", None, "", None),
        OperatorRow(12, "LOGISTIC", LONG, (1, 1, 1, 192), "int8", 0),
    ]
    return [*artifact_parts(artifact("int8", 89_500)), operator_table(rows), measurement_table(measurements()[6:])]


def _fit() -> list[RenderableType]:
    facts = LatencyFacts.model_validate({"error_p50": 0.1, "error_p90": 0.21, "kind": "measured", "nets": 2})
    profile = profiles()[0].model_copy(update={"latency": facts})
    rows = (
        Fit("nets/vww.int8.tflite", "mobilenet", "", 0.231, 0.25, 0.2292),
        Fit("nets/kws.int8.tflite", "ds-cnn", "", 0.0765, None, 0.0951),
    )
    return [fit_table(rows, profile)]


def _cache() -> list[RenderableType]:
    rows = [
        ("clothes (m.keras)", "made", 1_048_576, 40.0, True),
        ("a-name-that-somebody-took-from-a-path", "benched", 900, 90_000.0, False),
    ]
    return [cache_table(rows), "", "folder: 2 entries, 1 MiB; `edgecut cache clear` removes them"]


def _search() -> list[RenderableType]:
    found = front()
    points = tuple(p.model_copy(update={"cut": cut}) for p, cut in zip(found.front, ("block_2_add", LONG), strict=True))
    noted = ("17 of 30 cuts were left out, since a model can't end there",)
    return front_tables(found.model_copy(update={"front": points, "notes": noted}), "found")


def _checks() -> list[RenderableType]:
    sensor = Check(
        metric="sensor", artifact="m.float32.tflite", profile="raspberry-pi-4", limit="120x160x3 rgb float32 -1..1",
        value="224x224x3 bgr float32 -124..151", unit="", state="misses", basis="read back",
    )  # fmt: skip
    return [check_table([sensor, *report().checks], {sensor.artifact: "tflite float32"})]


def _thresholds() -> list[RenderableType]:
    points = (
        OperatingPoint(label="a person at a door", threshold=0.62, code=31, precision=0.91, recall=0.8, fpr=0.02),
        OperatingPoint(label="a dog", threshold=0.0625, code=-112, precision=0.8, recall=0.75),
    )
    decision = Decision(
        artifact="clothes.int8.tflite", output="tags", rule="fpr=0.02", chosen_on=120, measured_on=280, points=points
    )
    return [decision_table([decision], {decision.artifact: "tflite int8"})]


COMMANDS: Mapping[str, Callable[[], Sequence[RenderableType]]] = MappingProxyType({
    "build": _build,
    "build_checks": _checks,
    "build_thresholds": _thresholds,
    "build_matrix": lambda: [matrix_table(_matrix())],
    "bench": _bench,
    "bench_files": lambda: [bench_table(bench_files())],
    "bench_operators": lambda: [times_table(times()), measurement_table(measurements()[6:], verbose=True)],
    "bench_vs": lambda: ratio_table(
        {"latency": Pair((0.0123,), (0.0101,), 0.821, 0.8, 0.99, True)}, "old.tflite", "new.tflite", "host"
    ),
    "cache": _cache,
    "compare": _compare,
    "cut": lambda: step_parts(STEP),
    "doctor": lambda: [
        package_table({p.name: None if p.whole == "" != p.light else "1.2.3" for p in PACKAGES}),
        program_table({p.name: ProgramState("/bin/p" if p.version_flag else None, "1.2.3") for p in PROGRAMS}),
    ],
    "explain": lambda: explanation_tables(EXPLANATION, verbose=True),
    "head": lambda: [step_table([STEP.model_copy(update={"seconds": 12.3, "notes": ("12 classes of photos",)})])],
    "inspect": lambda: [point_table(POINTS)],
    "inspect_cuts": lambda: [point_table(POINTS, bypass=True), *_costs()],
    "inspect_cuts_wide": lambda: [point_table(POINTS, bypass=True, wide=True)],
    "inspect_file": _operators,
    "inspect_import": _import,
    "plan": lambda: [plan_table([("load", "m.keras"), ("cut", f"to {LONG}")]), *notes(["a note that is read"])],
    "profile_fit": _fit,
    "profile_list": lambda: [profile_table(profiles())],
    "run": _run,
    "search": _search,
})  # fmt: skip
"""By the name of the golden file, what a command shows."""


def shown(*parts: RenderableType, width: int | None = 80) -> str:
    """The text of tables on a terminal of that many columns without colour, or in a pipe."""
    stream = io.StringIO()
    console = Console(file=stream, width=width or 1_000_000, no_color=True, highlight=False, markup=False, emoji=False)
    for part in parts:
        console.print(Shown(part), soft_wrap=isinstance(part, str), crop=False)
    return stream.getvalue()


def golden_text(name: str) -> str:
    """What the golden file of a command is to hold."""
    texts = (
        f"== {'piped' if width is None else f'{width} columns'} ==\n{shown(*COMMANDS[name](), width=width)}"
        for width in WIDTHS
    )
    return "\n".join(texts)
