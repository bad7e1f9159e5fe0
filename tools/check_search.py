"""What a search finds on a real pretrained model and real images, against what is asked of it.

Runs `edgecut search` on mobilenet_v1_imagenet.keras and cifar10.npz of the folder in EDGECUT_REAL, fits the head of
cuts all along the model on every training image's own features, at every size, and compares their held-out accuracy
with the cheap probe's; then builds each device's recommended point and compares the bundle with the front.
What is done is kept in OUT: --minutes ends a run early, and the next one goes on.
With --kills: a small model is searched once undisturbed, and once killed N times and restarted, each time with another
random number of results kept.
With --scheduler: once undisturbed, and once over `dask scheduler` and two `dask worker`, processes of their own, of
which the scheduler is killed when half of the passes are done; then all are begun again, and so is the search.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from distributed import Client

from edgecut.cache.store import Store
from edgecut.graph.quiet import import_keras_quietly
from edgecut.records.front import Front
from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Data, Recipe, Source, read_recipe
from edgecut.score.metrics import accuracy
from edgecut.search.request import PART

if TYPE_CHECKING:
    from edgecut.search.inputs import Workbench
    from edgecut.search.request import Request

SIZES = ((96, 96), (64, 64), (32, 32))
PROFILES = ("nucleo-h7a3zi", "esp32-s3", "raspberry-pi-4")
CUTS = tuple(f"conv_pw_{k}_relu" for k in (1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13))
NOISE = 0.03  # of accuracy: two standard errors of 1,500 images, and the build judges on other ones of them


def main() -> None:
    """Prints the figures, one line each, and exits 1 if one of them isn't what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, nargs=2, default=(3000, 1500), metavar=("TRAIN", "HELD_OUT"))
    parser.add_argument("--minutes", type=float, help="begin nothing new after this time")
    parser.add_argument("--kills", type=int, metavar="N")
    parser.add_argument("--scheduler", action="store_true")
    options = parser.parse_args()
    if options.scheduler:
        failures = scheduler_failures(options.out)
    else:
        failures = kill_failures(options.out, options.kills) if options.kills else real_failures(options)
    print("\n".join(failures) or "all as asked")
    raise SystemExit(1 if failures else 0)


def real_failures(arguments: argparse.Namespace) -> list[str]:
    """What isn't as asked for on the real model and images."""
    import_keras_quietly()
    from edgecut.search.inputs import Workbench
    from edgecut.search.request import words
    from edgecut.search.run import run

    request = asked(arguments)
    began = time.perf_counter()
    front = run(request)
    print(f"search: {time.perf_counter() - began:.0f} s, {len(front.cuts)} cuts, {len(front.front)} points", flush=True)
    if not front.finished:
        return ["not finished: run it again"]
    for r in front.recommendations:
        where = f"{r.cut} {words(r.size, r.channels)} {r.precision}"
        print(f"{r.profile}: {r.state}: {where} {r.accuracy:.3f}; {r.why}; {'; '.join(r.give)}", flush=True)
    bench = Workbench(request, Store(arguments.out / "cache", {}))
    return [
        *depth_failures(front), *rank_failures(front, bench, arguments.out),
        *(text for r in front.recommendations for text in build_failures(front, r.profile, arguments.out)),
    ]  # fmt: skip


def asked(arguments: argparse.Namespace) -> Request:
    """The search that is asked about."""
    from edgecut.search.request import Request

    real = Path(os.environ["EDGECUT_REAL"])
    train, held_out = arguments.images
    recipe = Recipe(
        source=Source(model=str(real / "mobilenet_v1_imagenet.keras"), preprocess="tf"),
        data=Data(train=str(real / "cifar10.npz"), limit=(train, held_out)),
    )
    profiles = tuple(find_profile(name) for name in PROFILES)
    limit = None if arguments.minutes is None else 60 * arguments.minutes
    return Request(recipe, profiles, SIZES, (1, 3), ("int8", "float32"), arguments.out, top=2, time_limit_s=limit)


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


def rank_failures(front: Front, bench: Workbench, out: Path) -> list[str]:
    """The probe's order of the cuts against that of their held-out accuracy with a head fitted on all features."""
    probes, judged = list[float](), list[float]()
    for size in SIZES:
        kept = out / f"judged-{size[0]}.json"
        document = json.loads(kept.read_text()) if kept.is_file() else held_out(bench, size)
        kept.write_text(json.dumps(document))
        scores = {c.cut: c.probe for c in front.cuts if c.size == size and c.channels == 3}
        cheap = [scores[cut] for cut in CUTS]
        probes += cheap
        judged += document
        print(f"{size[0]}: held out {[round(x, 3) for x in document]}, {correlation(cheap, document):.3f}", flush=True)
    whole = correlation(probes, judged)
    print(f"rank correlation over {len(judged)} cuts of all sizes: {whole:.3f}", flush=True)
    return [f"rank correlation is {whole:.3f}"] if whole < 0.95 else []


def held_out(bench: Workbench, size: tuple[int, int]) -> list[float]:
    """The held-out accuracy of each of CUTS in colour, its head fitted on all its features."""
    from edgecut.graph.features import forward_of, pooled_model, predict_each
    from edgecut.head.probe import fit_ridge
    from edgecut.images.device import model_input

    dataset, graph = bench.images(size, 3), bench.graph(size, 3)
    model = pooled_model(graph, [graph.find(cut).outputs[0] for cut in CUTS])
    parts = []
    for images in (dataset.train, dataset.val):
        rows = [x for x in predict_each(forward_of(model), images.pixels, lambda x: model_input(x, "tf", "normalized"))]
        parts.append([np.concatenate([row[k] for row in rows]) for k in range(len(CUTS))])
    train, val = np.asarray(dataset.train.labels), np.asarray(dataset.val.labels)
    return [
        accuracy(fit_ridge(known, train, 10).scores(asked), val) for known, asked in zip(*parts, strict=True)
    ]  # fmt: skip


def build_failures(front: Front, profile: str, out: Path) -> list[str]:
    """Whether `edgecut build` of a device's recommended point gives the front's numbers again."""
    import edgecut

    r = next(r for r in front.recommendations if r.profile == profile)
    point = next(p for p in front.front if profile in p.recommended_for)
    device = next(d for d in point.devices if d.profile == profile)
    report = edgecut.build(read_recipe(out / r.recipe), [profile], out=out / f"dist-{profile}", force=True)
    (artifact,) = report.artifacts
    found = {
        m.metric: m.value for m in report.measurements
        if m.artifact == artifact.name and m.profile in {None, profile} and m.value is not None
    }  # fmt: skip
    print(f"{profile}: build {artifact.size_bytes} bytes, accuracy {found['accuracy']:.4f}, latency "
          f"{found.get('latency')}, arena {found.get('arena')}; search {point.size_bytes} bytes, {point.accuracy:.4f}, "
          f"{device.latency}, {device.arena}", flush=True)  # fmt: skip
    failures = []
    if abs((found["accuracy"] or 0) - point.accuracy) > NOISE:
        failures.append(
            f"{profile}: the build's accuracy is {found['accuracy']:.3f}, the search's {point.accuracy:.3f}"
        )
    if abs(artifact.size_bytes - point.size_bytes) > 1024:
        failures.append(f"{profile}: the build has {artifact.size_bytes} bytes, the search {point.size_bytes}")
    return failures


def correlation(first: list[float], second: list[float]) -> float:
    """Spearman's rank correlation; equal values share the mean of their ranks."""
    a, b = (_ranks(np.asarray(values)) for values in (first, second))
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.asarray([(np.sum(values < x) + np.sum(values <= x) - 1) / 2 for x in values])


def kill_failures(out: Path, kills: int) -> list[str]:
    """Whether a search that is killed and restarted, again and again, ends with the front of an undisturbed one."""
    out.mkdir(parents=True, exist_ok=True)
    model, images = _small(out)
    command = [
        sys.executable, "-m", "edgecut", "search", str(model), "--data", str(images), "--preprocess", "tf", "--sizes",
        "16x16,14x14,12x12,10x10", "--channels", "1,3", "--precisions", "int8", "--profile", "nucleo-l4r5zi",
        "--top", "2", "-q",
    ]  # fmt: skip
    whole = _seconds([*command, "-o", str(out / "whole")])
    count = _kept(out / "whole")
    moments = sorted(random.Random(0).sample(range(1, count), min(kills, count - 1)))
    for moment in moments:
        child = subprocess.Popen([*command, "-o", str(out / "killed")], stdout=subprocess.DEVNULL)
        while child.poll() is None and _kept(out / "killed") < moment:
            time.sleep(0.01)
        child.kill()
        child.wait()
    rest = _seconds([*command, "-o", str(out / "killed")])
    print(f"undisturbed: {whole:.1f} s; killed with {moments} of {count} results kept; the rest then took {rest:.1f} s")
    return ["a front or a file is another one"] * _differs(out)


def _kept(out: Path) -> int:
    """How many results a search has kept that stay until its end."""
    return sum(len(list((out / "cache").glob(f"{kind}-*.json"))) for kind in ("sweep", "costs", "made", "built"))


def scheduler_failures(out: Path) -> list[str]:
    """Whether a search that lost its scheduler does only what is missing when begun again, and has the same bytes."""
    out.mkdir(parents=True, exist_ok=True)
    model, images = _small(out, 5000)
    import edgecut
    from edgecut.errors import RunError
    from edgecut.search import run

    counts: Counter[str] = Counter()

    def counted(task: object, *rest: object) -> object:
        counts[type(task).__name__] += 1
        return Sent(task, *rest)

    Sent = vars(run)["Sent"]
    settings: dict[str, Any] = {"sizes": ((16, 16), (12, 12)), "preprocess": "tf", "precisions": ("int8",), "top": 1}
    edgecut.search(model, images, ["nucleo-l4r5zi"], out=out / "whole", **settings)
    vars(run)["Sent"] = counted
    said, passes = "", 2 * -(-5000 // PART)
    with _dask(2) as (address, scheduler):
        watch = threading.Thread(target=_killed, args=(scheduler, out / "killed" / "cache", passes // 2), daemon=True)
        watch.start()
        try:
            edgecut.search(model, images, ["nucleo-l4r5zi"], out=out / "killed", dask=address, **settings)
        except RunError as exc:
            said = str(exc)
    kept = Counter(path.name.partition("-")[0] for path in (out / "killed" / "cache").glob("[a-z]*.json"))
    print(f"killed: {said!r}; sent by then {dict(counts)}, kept {dict(kept)}", flush=True)
    counts.clear()
    with _dask(2) as (address, _):
        edgecut.search(model, images, ["nucleo-l4r5zi"], out=out / "killed", dask=address, **settings)
    print(f"begun again: sent {dict(counts)}", flush=True)
    failures = [] if said else ["the search didn't notice that its scheduler was killed"]
    if counts["Pass"] != passes - kept["pass"]:
        failures.append(f"{counts['Pass']} passes were done again, where {kept['pass']} of {passes} were kept")
    return failures + ["a front or a file is another one"] * _differs(out)


@contextlib.contextmanager
def _dask(count: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """(address, process) of a scheduler with so many workers, each a process of Dask's own command line."""
    scheduler, line = _begun("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", until="Scheduler at:")
    address = line.split()[-1]
    workers = [
        _begun("worker", address, "--nthreads", "1", "--no-dashboard", until="Start Nanny")[0] for _ in range(count)
    ]
    try:
        with Client(address) as client:
            client.wait_for_workers(count)
        yield address, scheduler
    finally:
        for child in (*workers, scheduler):
            child.terminate()
            child.communicate()


def _begun(*words: str, until: str) -> tuple[subprocess.Popen[str], str]:
    child = subprocess.Popen([sys.executable, "-m", "dask", *words], stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    return child, next(line for line in child.stderr if until in line)


def _killed(scheduler: subprocess.Popen[str], cache: Path, passes: int) -> None:
    """Kill a scheduler when so many passes are kept."""
    while len(list(cache.glob("pass-*.json"))) < passes:
        time.sleep(0.01)
    scheduler.kill()


def _differs(out: Path) -> bool:
    """Whether a search that has ended after kills left anything but what the undisturbed one did."""
    fronts = [(out / name / "front.json").read_bytes() for name in ("whole", "killed")]
    files = [{p.name: p.read_bytes() for p in (out / name / "models").iterdir()} for name in ("whole", "killed")]
    return fronts[0] != fronts[1] or files[0] != files[1]


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def _small(folder: Path, count: int = 200) -> tuple[Path, Path]:
    """A model of three convolutions, and images of three colours, in a folder that loses the searches it has."""
    for name in ("whole", "killed"):
        shutil.rmtree(folder / name, ignore_errors=True)
    import_keras_quietly()
    import keras

    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((16, 16, 3))
    for k, filters in enumerate((8, 16, 16)):
        x = keras.layers.Conv2D(filters, 3, strides=1 + (k < 2), padding="same", activation="relu", name=f"conv_{k}")(x)
    x = keras.layers.Dense(5, name="scores")(keras.layers.GlobalAveragePooling2D(name="pool")(x))
    keras.Model(inputs, x, name="small").save(folder / "small.keras")
    whole = count + 100
    numbers, labels = np.random.default_rng(0), np.arange(whole) % 3
    pixels = numbers.integers(0, 120, (whole, 16, 16, 3)).astype("uint8")
    pixels[np.arange(whole), :, :, labels] += 60
    np.savez(
        folder / "images.npz",
        x_train=pixels[:count], y_train=labels[:count], x_test=pixels[count:], y_test=labels[count:],
    )  # fmt: skip
    return folder / "small.keras", folder / "images.npz"


if __name__ == "__main__":
    main()
