"""Every cut and every legal tail of ten keras.applications models, with random BatchNormalization statistics.

    python tools/check_surgery.py [NAME ...] [--every N]

For each model: one rebuilt model that puts every call out, against the source's own layers; every N-th cut rebuilt by
itself; every legal tail rebuilt and fed with the head's values, against the whole model; every illegal start refused,
and the tensors that the refusal names enough to make it legal. All must be bit-equal. The table shows the cuts, the
legal and the illegal starts, the failures and the largest error; the exit code is 1 if there is one.
"""

from __future__ import annotations

import gc
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgecut.graph.quiet import import_keras_quietly

import_keras_quietly()

import keras  # noqa: E402  quiet comes first

from edgecut.errors import GraphError  # noqa: E402
from edgecut.graph.callgraph import Calls, Tensor, flat  # noqa: E402
from edgecut.graph.calls import calls  # noqa: E402
from edgecut.graph.cuts import CutPoint, cut_points, frontier  # noqa: E402
from edgecut.graph.edits import cut  # noqa: E402
from edgecut.graph.proof import call_flat, difference, seeded_inputs, to_tensor  # noqa: E402
from edgecut.graph.rebuild import run  # noqa: E402

# name -> the smallest height and width that keras.applications takes
MODELS = {
    "MobileNetV2": 32, "MobileNetV3Small": 32, "EfficientNetB0": 32, "ResNet50": 32, "ResNet50V2": 32,
    "DenseNet121": 32, "NASNetMobile": 32, "InceptionV3": 75, "Xception": 71, "ConvNeXtTiny": 32,
}  # fmt: skip
IMAGES = 2


@dataclass
class Findings:
    """What was found of one model."""

    name: str
    cuts: int = 0
    rebuilt: int = 0
    legal: int = 0
    illegal: int = 0
    failures: list[str] = field(default_factory=list)
    max_error: float = 0.0
    seconds: float = 0.0

    def judge(self, what: str, got: Sequence[Any], expected: Sequence[Any]) -> None:
        """Count a failure unless all are bit-equal."""
        proof = difference(got, expected, inputs=IMAGES)
        self.max_error = max(self.max_error, proof["max_abs_error"])
        if not proof["exact"]:
            self.failures.append(f"{what}: off by {proof['max_abs_error']:.3g}")


def build(name: str) -> keras.Model:
    """A model with random weights, and statistics of its normalizations that aren't their initial ones."""
    size = MODELS[name]
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(input_shape=(size, size, 3), weights=None, classes=10)
    random = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            for weight in layer.weights:
                positive = weight.name in {"gamma", "moving_variance"}
                values = random.uniform(0.5, 1.5, weight.shape) if positive else random.normal(0, 0.1, weight.shape)
                weight.assign(values.astype("float32"))
    return model


def check(name: str, every: int, tails_every: int = 1) -> Findings:
    """Everything there is to check of one model; tails_every: rebuild only each so-manieth tail and refusal."""
    began = time.perf_counter()
    model = build(name)
    graph = calls(model)
    findings = Findings(name)
    points = [point for point in cut_points(graph) if point.type != "InputLayer"]
    fed = [
        to_tensor(x, t)
        for x, t in zip(seeded_inputs(flat(graph.inputs), count=IMAGES), flat(graph.inputs), strict=True)
    ]
    tensors = [tensor for call in graph for tensor in call.outputs if not call.is_input]
    values = dict(zip(tensors, run(graph, dict(zip(flat(graph.inputs), fed, strict=True)), tensors), strict=True))
    if not all(np.all(np.isfinite(keras.ops.convert_to_numpy(x))) for x in values.values()):
        findings.failures.append("the source computes values that aren't finite, which prove nothing")
    check_heads(model, points, fed, list(values.values()), findings, every)
    check_tails(model, graph, points, values, call_flat(model, fed), findings, tails_every)
    findings.seconds = time.perf_counter() - began
    return findings


def check_heads(
    model: keras.Model,
    points: Sequence[CutPoint],
    fed: Sequence[Any],
    values: Sequence[Any],
    record: Findings,
    every: int,
) -> None:
    """All cuts in one rebuilt model, and every N-th by itself."""
    record.cuts = len(points)
    whole = keras.tree.flatten(call_flat(cut(model, to=[point.name for point in points]), fed))
    for point, got, expected in zip(points, whole, values, strict=True):
        record.judge(f"to {point.name}", [got], [expected])
    for point, expected in list(zip(points, values, strict=True))[::every]:
        record.judge(f"to {point.name}, alone", [call_flat(cut(model, to=point.name), fed)], [expected])
        record.rebuilt += 1
        forget()


def check_tails(
    model: keras.Model,
    graph: Calls,
    points: Sequence[CutPoint],
    values: dict[Tensor, Any],
    whole: Any,
    record: Findings,
    every: int,
) -> None:
    """Each legal tail against the whole model, each illegal start refused with tensors that suffice."""
    by_name = {name: tensor for tensor, name in graph.tensor_name.items()}
    record.legal = sum(point.legal_start for point in points)
    record.illegal = len(points) - record.legal
    legal = [point for point in points if point.legal_start][::every]
    illegal = [point for point in points if not point.legal_start][::every]
    for point in legal + illegal:
        if point.legal_start:
            tail = cut(model, start=point.name)
            record.judge(f"from {point.name}", [call_flat(tail, [values[by_name[point.name]]])], [whole])
            forget()
            continue
        try:
            cut(model, start=point.name)
        except GraphError as exc:
            named = re.findall(r"'([^']+)'", str(exc).partition("also needs ")[2].partition(";")[0])
            starts = [by_name[name] for name in (point.name, *named)]
            if not named or frontier(graph, starts):
                record.failures.append(f"from {point.name}: the refusal names {named}, which is not enough")
        else:
            record.failures.append(f"from {point.name}: illegal, and not refused")


def forget() -> None:
    """Free what Keras keeps of a model that is gone."""
    keras.backend.clear_session(free_memory=False)
    gc.collect(0)


def main(words: Sequence[str]) -> int:
    """Prints the table; 1 if anything failed."""
    every = int(words[words.index("--every") + 1]) if "--every" in words else 10
    names = [word for word in words if word in MODELS] or list(MODELS)
    print(
        f"{'model':17}{'cuts':>6}{'alone':>7}{'legal':>7}{'illegal':>9}{'failures':>10}{'max error':>11}{'seconds':>9}"
    )
    all_failures = []
    for name in names:
        findings = check(name, every)
        print(
            f"{name:17}{findings.cuts:6}{findings.rebuilt:7}{findings.legal:7}{findings.illegal:9}{len(findings.failures):10}"
            f"{findings.max_error:11.3g}{findings.seconds:9.0f}", flush=True,
        )  # fmt: skip
        all_failures += [f"{name}: {failure}" for failure in findings.failures]
    print(*all_failures, sep="\n", end="\n" if all_failures else "")
    return 1 if all_failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
