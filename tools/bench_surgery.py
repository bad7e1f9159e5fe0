#!/usr/bin/env python3
"""What surgery costs: legal starts, a cut against Keras's own copy of the whole model, and its memory.

    python tools/bench_surgery.py [--rounds 7]

Each time is CPU time; the rounds of the things that are compared are interleaved, and the median and the fastest are
printed. Memory is what a cut adds to this process's resident size, with its result alive, and at the peak, over the
bytes of the weights that it keeps; TensorFlow shares the buffer of two equal variables until one of them is written.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

STARTS_LIMIT_S, COPY_LIMIT = 0.005, 1.5


def main() -> int:
    """Print the figures. The exit code is 1 if one is beyond its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    fits = [_starts(keras.applications.NASNetMobile(weights=None), rounds)]
    fits += [_copies(keras.applications.MobileNetV2(weights=None), rounds)]
    _memory(keras.applications.ResNet50(weights=None))
    return 0 if all(fits) else 1


def _starts(model: Any, rounds: int) -> bool:
    from edgecut.graph.calls import calls
    from edgecut.graph.cuts import legal_starts

    graph = calls(model)
    starts = legal_starts(graph)  # the first call fills what the graph keeps
    (times,) = _timed([lambda: legal_starts(graph)], rounds)
    print(f"legal starts of {model.name}: {len(graph)} calls, {len(starts)} legal, {_words(times)}")
    return min(times) <= STARTS_LIMIT_S


def _copies(model: Any, rounds: int) -> bool:
    import keras

    import edgecut

    def clone() -> None:
        keras.models.clone_model(model).set_weights(model.get_weights())

    layer = "block_13_expand_relu"
    to_end, to_middle, own = _timed(
        [lambda: edgecut.cut(model), lambda: edgecut.cut(model, to=layer), clone], rounds, warmups=2
    )
    print(f"clone_model and set_weights of {model.name}: {_words(own)}")
    print(f"cut of all of it: {_words(to_end)}, {min(to_end) / min(own):.2f} times that")
    print(f"cut to {layer}: {_words(to_middle)}, {min(to_middle) / min(own):.2f} times that")
    return min(to_end) <= COPY_LIMIT * min(own)


def _memory(model: Any) -> None:
    import edgecut

    # The first results take pages that loading the model has left free.
    kept = [edgecut.cut(model) for _ in range(2)]
    weights = sum(math.prod(v.shape) * np.dtype(v.dtype).itemsize for v in kept[0].weights)
    before = _resident_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak starts anew
    kept.append(edgecut.cut(model))
    for what, field in (("kept", "VmRSS"), ("at the peak", "VmHWM")):
        copies = (_resident_bytes(field) - before) / weights
        print(
            f"memory of a cut of all of {model.name}, {what}: {copies:.2f} times its {weights / 1e6:.1f} MB of weights"
        )


def _timed(functions: list[Callable[[], object]], rounds: int, warmups: int = 1) -> list[list[float]]:
    """CPU seconds of each function in each round, the functions in turn."""
    times: list[list[float]] = [[] for _ in functions]
    for number in range(warmups + rounds):
        for function, row in zip(functions, times, strict=True):
            gc.collect()
            began = time.process_time()
            function()
            if number >= warmups:
                row.append(time.process_time() - began)
    return times


def _words(times: list[float]) -> str:
    return f"{statistics.median(times) * 1e3:.1f} ms (fastest {min(times) * 1e3:.1f})"


def _resident_bytes(field: str) -> int:
    """VmRSS or VmHWM of this process, from Linux."""
    gc.collect()
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    raise SystemExit(main())
