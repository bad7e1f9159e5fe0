#!/usr/bin/env python3
"""What a build, or a search, takes by the number of its pictures: seconds, pictures a second and core, peak memory.

    python tools/bench_pictures.py MODEL.keras [--counts 2000,8000,32000,200000] [--to LAYER] [--search [--workers N]]
        [--again]

MODEL takes `tf` pixels. Pictures are synthetic, JPEG and PNG in turn, of ten classes: colours and stripes under noise.
They are made once, in --folder. Each count is a process of its own, with an empty cache; with --again a second one
follows that changes nothing but the head, and reads the pictures of the first. The peak is of the process that was
begun, and of the largest of those that it begins (workers, runners), as Linux tells both.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 10
_BATCH = 500
_RECIPE = """
name = "pictures"
[source]
model = {model}
preprocess = "tf"
{cut}
[stem]
size = [{size}, {size}]
[data]
train = {train}
val_fraction = 0.1
[head]
classes = {classes}
hidden = []
[export]
precisions = ["int8"]
[bench]
runs = 10
"""


def main() -> None:
    """Make the pictures, and measure each count."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--counts", default="2000,8000,32000,200000")
    parser.add_argument("--to", default="conv_pw_11_relu", help="the layer that the model is cut at")
    parser.add_argument("--side", type=int, default=96, help="of the synthetic pictures and of the device's")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "edgecut-pictures")
    parser.add_argument("--search", action="store_true", help="edgecut search in the place of a build")
    parser.add_argument("--workers", type=int, default=0, help="of a search: so many processes, 0 for none")
    parser.add_argument("--again", action="store_true", help="a second run after the first, with the same pictures")
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    print(
        f"{cores} cores, {given.model.name}, {'search' if given.search else 'build'}, pictures of {given.side} pixels"
    )
    print(
        f"{'pictures':>9} {'run':>6} {'wall s':>8} {'CPU s':>8} {'a second and core':>18} {'peak MB':>8} "
        f"{'others MB':>9}"
    )
    for count in map(int, given.counts.split(",")):
        train = pictures(given.folder, count, given.side)
        with tempfile.TemporaryDirectory(prefix="edgecut-bench-") as scratch:
            for run in ("first", "again") if given.again else ("first",):
                wall, cpu, own, others = measured(given, train, Path(scratch), run)
                print(
                    f"{count:>9} {run:>6} {wall:>8.1f} {cpu:>8.1f} {count / cpu:>18.0f} {own:>8.0f} {others:>9.0f}",
                    flush=True,
                )


def measured(given: argparse.Namespace, train: Path, scratch: Path, run: str) -> tuple[float, float, float, float]:
    """(wall seconds, CPU seconds of the process and its children, its peak MB, that of the largest of them)."""
    recipe = scratch / f"{run}.toml"
    text = _RECIPE.format(
        model=json.dumps(str(given.model.absolute())),
        cut="" if given.search else f"[cut]\nto = {json.dumps(given.to)}",
        size=given.side,
        train=json.dumps(str(train)),
        classes=CLASSES,
    )
    recipe.write_text(text if run == "first" else text.replace('["int8"]', '["float32"]'))
    command = [sys.executable, "-m", "edgecut", "build", str(recipe), "--out", str(scratch / run)]
    if given.search:
        command = [sys.executable, "-m", "edgecut", "search", str(recipe), "--out", str(scratch / run), "--top", "2"]
        command += ["--workers", str(given.workers)] if given.workers else []
    environment = {**os.environ, "EDGECUT_CACHE": str(scratch / "cache"), "EDGECUT_CACHE_MAX_SIZE": "0"}
    began = time.perf_counter()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    peaks: dict[int, float] = {}
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        for process, peak in peaks_mb(child.pid).items():  # one that has ended tells 0
            peaks[process] = max(peak, peaks.get(process, 0.0))
        time.sleep(0.2)
    if os.waitstatus_to_exitcode(status) not in {0, 1}:
        sys.exit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    own = peaks.pop(child.pid, 0.0)
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, own, max(peaks.values(), default=0.0)


def peaks_mb(root: int) -> dict[int, float]:
    """{process: the most memory that it has held}, of a process and all that it has begun."""
    found: dict[int, float] = {}
    rest = [root]
    while rest:
        process = rest.pop()
        with contextlib.suppress(OSError):  # it ended meanwhile
            place = Path(f"/proc/{process}")
            lines = (place / "status").read_text().splitlines()
            found[process] = sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
            for thread in (place / "task").iterdir():
                rest += map(int, (thread / "children").read_text().split())
    return found


def pictures(folder: Path, count: int, side: int) -> Path:
    """A folder of class folders with so many pictures; what is there already stays."""
    root = folder / f"{side}px-{count}"
    todo = [k for k in range(0, count, _BATCH) if not (root / f"made-{k}").exists()]
    for name in range(CLASSES):
        (root / "train" / f"class{name}").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(_made, [root] * len(todo), todo, [min(_BATCH, count - k) for k in todo], [side] * len(todo)))
    return root / "train"


def _made(root: Path, first: int, count: int, side: int) -> None:
    for number, content in _encoded(first, count, side):
        kind = "png" if number % 4 == 0 else "jpg"
        (root / "train" / f"class{number % CLASSES}" / f"{number:07}.{kind}").write_bytes(content)
    (root / f"made-{first}").touch()


def _encoded(first: int, count: int, side: int) -> Iterator[tuple[int, bytes]]:
    random = np.random.default_rng(first)
    across = np.arange(side)
    for number in range(first, first + count):
        label = number % CLASSES
        stripes = np.sin(across * (label + 1) / 6 + random.uniform(0, 6))[:, None, None] * (30 + 6 * label)
        colour = 128 + 60 * np.cos(label + np.arange(3)) + random.normal(0, 25, 3)
        noise = random.normal(0, 12, (side // 4 + 1, side // 4 + 1, 3)).repeat(4, 0).repeat(4, 1)[:side, :side]
        picture = Image.fromarray(np.clip(colour + stripes + noise, 0, 255).astype(np.uint8))
        file = io.BytesIO()
        picture.save(file, "PNG" if number % 4 == 0 else "JPEG", **({} if number % 4 == 0 else {"quality": 85}))
        yield number, file.getvalue()


if __name__ == "__main__":
    main()
