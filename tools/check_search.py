"""What a search finds on a real pretrained model and real images, against what is asked of it.

Runs `edgecut search` on mobilenet_v1_imagenet.keras and cifar10.npz of the folder in EDGECUT_REAL, then fits the head
of cuts all along the model on every training image's own features, at every size, and compares their held-out
accuracy with the cheap probe's. Usage: python tools/check_search.py OUT [TRAIN HELD_OUT]
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgecut.graph.quiet import import_keras_quietly
from edgecut.records.front import Front
from edgecut.records.profile import find_profile
from edgecut.records.recipe import Data, Recipe, Source

SIZES = ((96, 96), (64, 64), (32, 32))
PROFILES = ("nucleo-h7a3zi", "esp32-s3", "raspberry-pi-4")
CUTS = tuple(f"conv_pw_{k}_relu" for k in (1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13))


def ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each value; equal ones share the mean of theirs."""
    return np.asarray([(np.sum(values < x) + np.sum(values <= x) - 1) / 2 for x in values])


def main() -> None:
    """Prints the figures, one line each, and exits 1 if one of them isn't what is asked for."""
    import_keras_quietly()
    from edgecut.search.asked import Request
    from edgecut.search.inputs import Bench
    from edgecut.search.run import run

    out = Path(sys.argv[1])
    limit = (int(sys.argv[2]), int(sys.argv[3])) if len(sys.argv) > 3 else (3000, 1500)
    real = Path(os.environ["EDGECUT_REAL"])
    recipe = Recipe(
        source=Source(model=str(real / "mobilenet_v1_imagenet.keras"), preprocess="tf"),
        data=Data(train=str(real / "cifar10.npz"), limit=limit),
    )
    request = Request(
        recipe, tuple(find_profile(name) for name in PROFILES), SIZES, (1, 3), ("int8", "float32"), out, top=2
    )
    began = time.perf_counter()
    front = run(request)
    print(f"search: {time.perf_counter() - began:.0f} s, {len(front.cuts)} cuts, {len(front.front)} points", flush=True)
    for r in front.recommendations:
        print(
            f"{r.profile}: {r.state}: {r.cut} {r.size} {r.channels} {r.precision} {r.accuracy:.3f}; {r.why}; {r.give}"
        )
    failures = [*depth_failures(front), *rank_failures(front, Bench(request))]
    print("\n".join(failures) or "all as asked")
    raise SystemExit(1 if failures else 0)


def depth_failures(front: Front) -> list[str]:
    """The middle wins at 32x32, and the end at 96x96 in colour."""
    failures = []
    for size in SIZES:
        for channels in (1, 3):
            row = [c for c in front.cuts if c.size == size and c.channels == channels]
            best = max(row, key=lambda c: c.score)
            end = next(c for c in row if c.cut == "conv_pw_13_relu")
            print(f"{size[0]} {channels}: best {best.cut} {best.score:.3f}, end {end.score:.3f}", flush=True)
            if size == (32, 32) and best.score - end.score <= 0.30:
                failures.append(f"32x{channels}: the middle is only {best.score - end.score:.3f} better")
            if (size, channels) == ((96, 96), 3) and not best.cut.startswith(("conv_pw_13", "conv_dw_13")):
                failures.append(f"96x3: {best.cut} wins, not the end")
    return failures


def rank_failures(front: Front, bench: Any) -> list[str]:
    """The probe's order of the cuts against that of their held-out accuracy with a head fitted on all features."""
    from edgecut.graph.features import pooled_model, predict_each
    from edgecut.head.probe import accuracy, fit_ridge
    from edgecut.images.device import model_input

    failures, probes, judged = [], [], []
    for size in SIZES:
        _, dataset = bench.fed(size, 3)
        graph = bench.graph(size, 3)
        model = pooled_model(graph, [graph.find(cut).outputs[0] for cut in CUTS])
        parts = []
        for images in (dataset.train, dataset.val):
            rows = [
                outputs
                for _, outputs in predict_each(model, images.pixels, lambda x: model_input(x, "tf", "normalized"))
            ]
            parts.append([np.concatenate([row[k] for row in rows]) for k in range(len(CUTS))])
        found = []
        for k in range(len(CUTS)):
            probe = fit_ridge(parts[0][k], dataset.train.labels, 10)
            found.append(accuracy(probe.scores(parts[1][k]), dataset.val.labels))
        scores = {c.cut: c.probe for c in front.cuts if c.size == size and c.channels == 3}
        cheap = np.asarray([scores[cut] for cut in CUTS])
        probes += list(cheap)
        judged += found
        correlation = np.corrcoef(ranks(cheap), ranks(np.asarray(found)))[0, 1]
        print(f"{size[0]}: held out {[round(x, 3) for x in found]}, rank correlation {correlation:.3f}", flush=True)
    correlation = np.corrcoef(ranks(np.asarray(probes)), ranks(np.asarray(judged)))[0, 1]
    print(f"rank correlation over {len(judged)} cuts of all sizes: {correlation:.3f}", flush=True)
    if correlation < 0.95:
        failures.append(f"rank correlation is {correlation:.3f}")
    return failures


if __name__ == "__main__":
    main()
