"""Every page that edgecut writes, of values that are small enough to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgecut.records.comparison import Change, Comparison, Difference, Verdict
from edgecut.records.front import Basis, CutScore, DeviceCost, Front, FrontPoint, Recommendation
from edgecut.records.matrix import Matrix, MatrixCell, MatrixFile, MatrixRow
from edgecut.records.prediction import PredictedOutput, Prediction, Predictions, Score
from edgecut.records.report import Check, Report
from edgecut.records.usage import FileTimes, FileUse, OperatorCost, OperatorTime, OperatorTimes, TensorLife
from edgecut.render.bench_page import render_bench, render_comparison
from edgecut.render.front import render_front
from edgecut.render.matrix import render_matrix
from edgecut.render.overview import Place, render_overview, render_side_by_side, render_walk
from edgecut.render.page import render_page
from edgecut.render.predictions import render_predictions
from tests.reports import EXPLANATION, measurements, report


def use() -> FileUse:
    return FileUse(
        artifact="models/a.int8.tflite", peak_operator=1, planned_bytes=5120,
        tensors=(
            TensorLife(name="image", first=-1, last=0, offset=0, size_bytes=3072),
            TensorLife(name="block<1>", first=0, last=2, offset=3072, size_bytes=2048),
        ),
        operators=(
            OperatorCost(operator="CONV_2D", layer="block<1>", macs=123456, seconds={"board": 0.0113}),
            OperatorCost(operator="SOFTMAX", layer="", macs=0, seconds={"board": 0.00021}),
        ),
    )  # fmt: skip


def front() -> Front:
    check = Check(
        metric="arena", artifact="a", profile="board", limit=98304, value=65536, unit="bytes", state="meets",
        basis="estimated",
    )  # fmt: skip
    device = DeviceCost(
        profile="board", state="meets", latency=0.0125, latency_kind="estimated", arena=65536, checks=(check,)
    )
    point = FrontPoint(
        cut="block<1>", size=(96, 96), channels=3, precision="int8", accuracy=0.781, chosen_by=0.779, latency=0.0125,
        arena=65536, size_bytes=102400, macs=1_000_000, basis=Basis(accuracy="measured", latency="estimated"),
        recommended_for=("board",), why="the most accurate of 1 built for board, which sets no limits",
        devices=(device,), artifact="models/a.int8.tflite",
    )  # fmt: skip
    probed = point.model_copy(update={
        "cut": "block_2", "accuracy": 0.5, "latency": 0.001, "recommended_for": (),
        "devices": (device.model_copy(update={"latency": 0.001}),),
        "basis": Basis(accuracy="probe", latency="estimated"),
    })  # fmt: skip
    cuts = tuple(
        CutScore(cut=f"block_{k}", position=k, size=(size, size), channels=1, width=8, probe=k / 10, score=k / 10,
                 exact=k < 2, cka=0.5, gradient_x_activation=0.1, macs=1000)
        for size in (96, 32) for k in range(1, 4)
    )  # fmt: skip
    recommendation = Recommendation(
        profile="board", state="meets", cut="block<1>", size=(96, 96), channels=3, precision="int8", accuracy=0.781,
        why=point.why, recipe="recipes/board.toml", recipe_text='[cut]\nto = "block<1>"\n',
    )  # fmt: skip
    return Front(
        edgecut="0.1.0", source="m.keras", sha256="", metric="accuracy", profiles=("board",), finished=True,
        images={"train": 10, "choosing": 5, "judging": 5}, front=(point, probed), cuts=cuts,
        recommendations=(recommendation,), measurements=measurements(), uses=(use(),),
    )  # fmt: skip


def comparison() -> Comparison:
    change = Change(metric="size", file="a<b>.tflite", a=1024, b=2048, unit="bytes", change=1.0, real=True)
    hashes = Difference(what="file", name="models/a<b>.tflite", a="abcd" * 16, b="fedc" * 16)
    verdict = Verdict(limit="size +10 %", file="a<b>.tflite", state="misses", found="+100.00 %")
    return Comparison(
        a="old", b="new", equal=False, changes=(change,), outputs=(), differences=(hashes,), verdicts=(verdict,)
    )


def times() -> FileTimes:
    told = OperatorTimes((OperatorTime(0, "Convolution", "block<1>", 0.0019, share=1.0),), "the runtime's profile")
    alone = OperatorTimes((OperatorTime(0, "CONV_2D", "block<1>", 0.0021, share=1.0),), "alone")
    return FileTimes(told, alone, 0.002)


def build() -> Report:
    return report().model_copy(update={"uses": (use(),), "explanations": (EXPLANATION,)})


def matrix() -> Matrix:
    cells = (
        MatrixCell(profile="board", state="meets", latency=0.118, latency_kind="estimated", latency_error=0.32,
                   arena_bytes=36_454, arena_kind="measured"),
        MatrixCell(profile="other", state="unknown", reason="its profile has no latency facts"),
    )  # fmt: skip
    rows = tuple(
        MatrixRow(name=f"block_{k}-int8", settings={"cut.to": f"block_{k}", "export.precisions": "int8"}, code=0,
                  status="unknown", bundle=f"block_{k}-int8", title="a",
                  files=(MatrixFile(name="a.int8.tflite", format="tflite", precision="int8", size_bytes=23_757 * k,
                                    accuracy=0.7 + k / 50, cells=(cells[0].model_copy(update={"latency": 0.118 * k}),
                                                                  cells[1])),))
        for k in (1, 2)
    )  # fmt: skip
    failed = MatrixRow(name="block_9-int8", settings={"cut.to": "block_9", "export.precisions": "int8"}, code=3,
                       status="failed", error="cut.to: no layer 'block_9'")  # fmt: skip
    return Matrix(edgecut="1", name="clothes", axes={"cut.to": ("block_1", "block_2"), "export.precisions": ("int8",)},
                  rows=(*rows, failed))  # fmt: skip


def answers() -> Predictions:
    scores = (Score(index=3, label="a coat", value=0.91), Score(index=1, label="", value=0.07))
    output = PredictedOutput(output="scores", kind="classes", shape=(10,), scores=scores)
    rows = tuple(Prediction(input=f"photos/{k}.png", outputs=(output,)) for k in range(3))
    return Predictions(file="a.int8.tflite", sha256="abcd" * 16, takes="the camera's bytes", predictions=rows)


def pictures() -> list[np.ndarray]:
    return [np.random.default_rng(k).integers(0, 256, (32, 32, 1), np.uint8) for k in range(3)]


PLACES = (Place("a", build(), "a/report.html"), Place("b/c", report(), None))
SEARCHES = (Place("found", front(), "found/report.html"),)
PAGES: dict[str, tuple[Callable[[], str], Callable[[], Any]]] = {
    "search": (lambda: render_front(front()), lambda: front().to_dict()),
    "build": (lambda: render_page(build()), lambda: build().to_dict()),
    "compare": (lambda: render_comparison(comparison()), lambda: comparison().to_dict()),
    "bench": (
        lambda: render_bench({"a<b>.tflite": "int8"}, measurements(), [use()], {"a<b>.tflite": times()}),
        lambda: [
            [m.to_dict() for m in measurements()],
            use().to_dict(),
            [vars(row) for way in times()[:2] for row in way.rows],
        ],
    ),
    "matrix": (lambda: render_matrix(matrix()), lambda: [matrix().to_dict(), ["board", "other"]]),
    "run": (lambda: render_predictions(answers(), pictures()), lambda: answers().to_dict()),
}  # fmt: skip
"""By name: the page, and the document that it is made from."""
SERVED: dict[str, Callable[[], str]] = {
    "list": lambda: render_overview("builds", PLACES, SEARCHES, ["damaged/report.json: is no JSON"]),
    "side by side": lambda: render_side_by_side(PLACES),
    "walk": lambda: render_walk(SEARCHES[0], "board"),
}
"""The pages of `edgecut ui`."""
EVERY: dict[str, Callable[[], str]] = {**{name: make for name, (make, _) in PAGES.items()}, **SERVED}
