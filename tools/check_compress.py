"""Which of ten keras.applications models cross to Keras 2, and what TFMOT takes of each, layer by layer.

    python tools/check_compress.py [NAME ...] [--layers]

For each model, with the random weights of check_surgery.py: the way over to Keras 2, proven equal, or the layer that
refuses it; then what quantization-aware training takes and leaves out, with TFMOT applied to it and held against the
float model; and how many kernels can be pruned and clustered. --layers names every layer that is left out; without it
the reasons are counted. The exit code is 1 if a model neither crosses nor is refused by a layer's name.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgecut.graph.quiet import import_keras_quietly

import_keras_quietly()

import tensorflow as tf  # noqa: E402  quiet comes first
from check_surgery import MODELS, build, forget  # noqa: E402

from edgecut.compress import support  # noqa: E402
from edgecut.compress.crossing import go_across  # noqa: E402
from edgecut.compress.qat import annotated  # noqa: E402
from edgecut.compress.ranges import check_parity, set_ranges  # noqa: E402
from edgecut.compress.tfmot import Packages, packages  # noqa: E402
from edgecut.errors import EdgecutError, GraphError  # noqa: E402
from edgecut.records.recipe import Prune  # noqa: E402

IMAGES = 8
# Models of keras.applications that take 0..255; the others take -1..1.
TAKE_BYTES = {"MobileNetV3Small", "EfficientNetB0", "ConvNeXtTiny"}


@dataclass
class Findings:
    """What was found of one model. fault: what must not be."""

    name: str
    cells: list[str] = field(default_factory=list)
    left_out: tuple[str, ...] = ()
    refusal: str = ""
    fault: str = ""

    def refuse(self, sentence: str, layers: Sequence[str]) -> None:
        """Note a refusal; one that names none of the layers is a fault."""
        self.refusal = sentence
        if not any(name.startswith(layer) for name in re.findall(r"'([^']+)'", sentence) for layer in layers):
            self.fault = f"the refusal names no layer: {sentence}"


def check(name: str) -> Findings:
    """One row of the table."""
    began, findings, both = time.perf_counter(), Findings(name), packages()
    source = build(name)
    try:
        across = go_across(both, source)
    except GraphError as exc:
        findings.refuse(str(exc), [layer.name for layer in source._flatten_layers()])
        return findings
    model = across.model
    left_out = support.quantizable(both, model, ())
    findings.left_out = support.sentences(model, left_out)
    kernels = len([layer for layer in model.layers if support.kernels(layer)])
    findings.cells = [
        f"{across.proof['max_abs_error']:.1g}", str(len(model.layers)), str(len(left_out)),
        quantized(both, model, left_out, (0, 255) if name in TAKE_BYTES else (-1, 1), findings),
        f"{len(support.taken(model, support.prunable(model, Prune(), ())))}/{kernels}",
        f"{len(support.taken(model, support.clusterable(model, 16, ())))}/{kernels}",
    ]  # fmt: skip
    findings.cells.append(f"{time.perf_counter() - began:.0f}")
    return findings


def quantized(both: Packages, model: Any, left_out: support.Reasons, ends: tuple[int, int], record: Findings) -> str:
    """The SQNR of the quantization-aware model before training, or "refused". ends: of the pixels."""
    pixels = np.random.default_rng(0).uniform(*ends, (IMAGES, *model.inputs[0].shape[1:])).astype("float32")
    try:
        aware = annotated(both, model, left_out)
        set_ranges(both, aware, model, [pixels], pixels)
        return f"{check_parity(model, aware, pixels).sqnr:.1f} dB"
    except EdgecutError as exc:
        record.refuse(str(exc), [layer.name for layer in model.layers])
        return "refused"


def main(words: Sequence[str]) -> int:
    """Prints the table; 1 if a model is neither bridged nor refused by name."""
    names = [word for word in words if word in MODELS] or list(MODELS)
    tf.get_logger().setLevel("ERROR")  # many models in one process: tracing them is meant
    print(f"{'model':17}{'error':>8}{'layers':>8}{'left out':>10}{'aware':>10}{'pruned':>9}{'clustered':>11}{'s':>5}")
    faults = []
    for name in names:
        findings = check(name)
        if findings.cells:
            error, layers, left, aware, pruned, clustered, seconds = findings.cells
            print(f"{name:17}{error:>8}{layers:>8}{left:>10}{aware:>10}{pruned:>9}{clustered:>11}{seconds:>5}")
        else:
            print(f"{name:17}refused")
        if findings.refusal:
            print(f"    {findings.refusal}")
        whys = [re.sub(r"'[^']+'", "another layer", re.sub(r"^'[^']+' ", "", s)) for s in findings.left_out]
        reasons = Counter(whys)
        lines = (
            findings.left_out if "--layers" in words else [f"{count} x {why}" for why, count in reasons.most_common()]
        )
        print(*(f"    {line}" for line in lines), sep="\n", end="\n" if lines else "", flush=True)
        faults += [f"{name}: {findings.fault}"] if findings.fault else []
        forget()
    print(*faults, sep="\n", end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
