"""Prints what `inspect` and `plan` of model files take as whole processes, from the saved model and by TensorFlow.

    python tools/bench_inspect.py MODEL.keras... [--profile ID] [--rounds N]
    python tools/bench_inspect.py NASNetMobile EfficientNetB7 [--profile ID]

A name of keras.applications is that model with random weights. The processor's time is that of the process and its
children. TensorFlow's rows are of the same command with the saved model's reading switched off. The best of the rounds
stands, since others on the machine only add to a time; with --applications the calls of keras.applications are held
against the live ones instead, without a time.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

LIVE = """
import sys
import edgecut.source.saved as saved
from edgecut.graph.layer_call import UnsaidError

def unsaid(source):
    raise UnsaidError

saved.read_dataflow = unsaid
from edgecut.cli.main import main
main(sys.argv[1:])
"""
APPLICATION = """
import sys
import keras

getattr(keras.applications, sys.argv[1])(weights=None).save(sys.argv[2])
"""
PLAN = ("--precision", "float32")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--profile", default="nucleo-l4r5zi")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--live", action="store_true", help="TensorFlow's times, too")
    parser.add_argument("--applications", action="store_true", help="hold keras.applications against the live models")
    args = parser.parse_args()
    if args.applications:
        for line in agreements(args.models):
            print(line, flush=True)
        return
    print(f"{'model':<28}{'command':<26}{'saved CPU':>10}{'wall':>8}{'live CPU':>10}{'wall':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for model in args.models:
            times(model if os.path.exists(model) else application(model, folder), args)


def application(name: str, folder: str) -> str:
    """The file of a model of keras.applications with random weights."""
    path = os.path.join(folder, f"{name}.keras")
    subprocess.run([sys.executable, "-c", APPLICATION, name, path], capture_output=True, check=True)
    return path


def times(model: str, args: argparse.Namespace) -> None:
    """Print the rows of a file."""
    cuts = ["inspect", model, "--cuts", "--profile", args.profile]
    for words in (["inspect", model], cuts, ["plan", model, *PLAN]):
        saved = best(["-m", "edgecut", *words], args.rounds)
        # A plan never loads the model.
        live = best(["-c", LIVE, *words], 1) if args.live and words[0] == "inspect" else None
        name = " ".join(word for word in words if word != model and word not in PLAN)[:25]
        row = "".join(f"{seconds:>{width}.2f}" for seconds, width in zip((*saved, *(live or ())), (10, 8) * 2))  # noqa: B905
        print(f"{os.path.basename(model)[:27]:<28}{name:<26}{row}", flush=True)


def best(words: Sequence[str], rounds: int) -> tuple[float, float]:
    """(processor, wall) seconds of a process, the least of several rounds. Raises CalledProcessError if it fails."""
    rows = [once(words) for _ in range(rounds)]
    return min(cpu for cpu, _ in rows), min(wall for _, wall in rows)


def once(words: Sequence[str]) -> tuple[float, float]:
    """The same of one run."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def agreements(names: Sequence[str]) -> Iterator[str]:
    """A line for each application: whether its saved configuration says what the model with random weights says."""
    import keras

    from edgecut.graph.layer_call import UnsaidError
    from edgecut.graph.live import dataflow
    from edgecut.graph.points import points_of, totals
    from edgecut.lowering.lower import lowering
    from edgecut.lowering.saved_dataflow import saved_dataflow

    for name, builder in vars(keras.applications).items():
        if not inspect.isfunction(builder) or "weights" not in inspect.signature(builder).parameters:
            continue
        if names and name not in names:
            continue
        keras.backend.clear_session()
        size = 96 if name.startswith(("Inception", "NASNet", "Xception")) else 64
        try:
            model = builder(weights=None, input_shape=(size, size, 3), classes=10)
        except ValueError as exc:
            yield f"{name}: can't be built at {size} ({str(exc).splitlines()[0][:80]})"
            continue
        live = dataflow(model)
        try:
            saved = saved_dataflow(json.loads(model.to_json()))
        except UnsaidError as exc:
            yield f"{name}: by TensorFlow, since {exc}"
            continue
        # Which shifts are zeros the file's weights tell, and here is no file.
        zeros = {call.name: call.zeros for call in live}
        saved = replace(saved, calls=tuple(replace(call, zeros=zeros[call.name]) for call in saved))
        flows = (live, saved)
        points = len({points_of(flow) for flow in flows}) == len({str(totals(flow)) for flow in flows}) == 1
        operators = [lowering(flow.calls, "int8")(*flow.flat_outputs) for flow in flows]
        yield f"{name}: {len(live)} calls, {'equal' if points and operators[0] == operators[1] else 'DIFFERENT'}"


if __name__ == "__main__":
    main()
