"""How long a search's first stage takes: every cut in one pass, against the plain forward pass and cut by cut.

Runs on MobileNetV1 (mobilenet_v1_imagenet.keras of the folder in EDGECUT_REAL) and on MobileNetV2 with random
weights, both at 96x96 in colour, on random pictures: time and memory don't depend on what they show. Cut by cut is
timed on a sample of cuts, evenly over the depth, and scaled to all of them; the line says so.
Usage: python tools/bench_search.py [v1|v2] [IMAGES] [SAMPLE]; SAMPLE 0 leaves out cut by cut.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecut.graph.quiet import import_keras_quietly
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Data, Recipe, Source

if TYPE_CHECKING:
    from edgecut.search.inputs import Workbench

SIZE = (96, 96)
CLASSES = 10


def main() -> None:
    """Prints the times and the memory; exits 1 if the first stage is slower than asked for."""
    import_keras_quietly()
    from edgecut.cache.store import Store
    from edgecut.search.inputs import Workbench
    from edgecut.search.request import Request
    from edgecut.search.scoring import score_inputs
    from edgecut.search.tasks import Scoring, do

    name = sys.argv[1] if len(sys.argv) > 1 else "v1"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    sample = int(sys.argv[3]) if len(sys.argv) > 3 else 12
    v1 = str(Path(os.environ.get("EDGECUT_REAL", ".")) / "mobilenet_v1_imagenet.keras")
    source = v1 if name == "v1" else "keras:MobileNetV2?input_shape=96,96,3&weights=none"
    with tempfile.TemporaryDirectory() as folder:
        images = _images(Path(folder), count)
        recipe = Recipe(source=Source(model=source, preprocess="tf"), data=Data(train=str(images)))
        request = Request(recipe, (find_profile("host"),), (SIZE,), (3,), ("int8",), Path(folder))
        bench = Workbench(request, Store(Path(folder) / "cache", {}))
        bench.body(SIZE, 3)
        bench.images(SIZE, 3)
        before = _peak_mib()
        plain = _plain_forward(bench)
        began, cpu = time.perf_counter(), time.process_time()
        task = Scoring(SIZE, 3)
        found = dict(score_inputs(bench, lambda tasks: ((x, do(bench, x)) for x in tasks if x is not None), [task]))
        cuts = len(found[task].swept["cuts"])
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        print(f"{name}, {count} images, {cuts} cuts: plain forward {plain:.1f} s; first stage {took:.1f} s")
        print(f"that is {took / plain:.2f} forward passes ({cpu:.1f} s CPU); allowed: {1.5 * plain + 15:.1f} s")
        print(f"memory: peak {_peak_mib():.0f} MiB, {before:.0f} MiB of it before any pass", flush=True)
        ratio = float("inf")
        if sample:
            each = _cut_by_cut(bench, sample)
            ratio = each * cuts / took
            print(f"cut by cut: {each:.2f} s for each of {sample} cuts timed, scaled to {cuts}: {each * cuts:.0f} s")
            print(f"that is {ratio:.1f} times the first stage")
    raise SystemExit(0 if took <= 1.5 * plain + 15 and ratio >= 15 else 1)


def _images(folder: Path, count: int) -> Path:
    random = np.random.default_rng(0)
    path = folder / "images.npz"
    x_train, x_test = (random.integers(0, 256, (n, *SIZE, 3), np.uint8) for n in (count, 20))
    np.savez(path, x_train=x_train, x_test=x_test, y_train=np.arange(count) % CLASSES, y_test=np.arange(20) % CLASSES)
    return path


def _plain_forward(bench: Workbench) -> float:
    """Seconds of one pass of the whole model over the training images, tracing included as in the first stage."""
    from edgecut.graph.predict import predict
    from edgecut.images.device import model_input

    model, dataset = bench.body(SIZE, 3).model.value, bench.images(SIZE, 3)
    began = time.perf_counter()
    predict(model, dataset.train.pixels, lambda x: model_input(x, "tf", "normalized"))
    return time.perf_counter() - began


def _cut_by_cut(bench: Workbench, sample: int) -> float:
    """Mean seconds of a cut on its own: a model up to it, a forward pass, an exact probe; of cuts over the depth."""
    from edgecut.graph.features import poolable, pooled_model
    from edgecut.graph.predict import predict
    from edgecut.head.probe import fit_ridge
    from edgecut.images.device import model_input

    dataset = bench.images(SIZE, 3)
    graph = bench.graph(SIZE, 3)
    tensors = poolable(graph)
    # The middle of equal parts of the depth: neither the cheapest nor the dearest cut is favoured.
    chosen = [tensors[int((k + 0.5) * len(tensors) / sample)] for k in range(sample)]
    began = time.perf_counter()
    labels = np.arange(len(dataset.train.pixels)) % CLASSES
    for tensor in chosen:
        features = predict(
            pooled_model(graph, [tensor]), dataset.train.pixels, lambda x: model_input(x, "tf", "normalized")
        )
        fit_ridge(features.reshape(len(features), -1), labels, CLASSES)
    return (time.perf_counter() - began) / sample


def _peak_mib() -> float:
    """The most memory that the process has held, MiB (getrusage gives KiB on Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
