"""An .onnx file run once or twice with every tensor exposed, as a child process: a JSON job on stdin, JSON on stdout.

The job names the file, what each input is fed at each batch, where constants go (an .npz), and which tensors are
constant. The answer has for each batch the shape of each tensor, its dtype, or the reason why there is none.
What the library writes goes to stderr.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import numpy as np
import onnx
import onnxruntime

from edgecut.runtime.worker import limit_address_space, limited, onnx_failures

MOST_COMPARED = 4096  # elements; a larger constant is no shape or index that follows the batch


def main() -> None:
    """Do the job on stdin."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    job = json.load(sys.stdin)
    limit_address_space(job["address_bytes"])
    with limited(job["seconds"]):
        json.dump(_traced(job), answers)
    answers.close()


def _traced(job: dict[str, Any]) -> dict[str, Any]:
    refusals: tuple[type[Exception], ...] = (*onnx_failures(), RuntimeError, TypeError, ValueError)
    try:
        session, names = _exposed(job["path"], set(job["tensors"]), job["batch_axes"])
    except refusals as exc:
        return {"reason": str(exc), "runs": []}
    runs: list[dict[str, Any]] = []
    stored: dict[str, np.ndarray] = {}
    first: dict[str, np.ndarray] = {}
    for number, feeds in enumerate(job["feeds"]):
        try:
            values = dict(zip(names, session.run(names, _arrays(feeds)), strict=True))
        except refusals as exc:
            runs.append({"reason": str(exc)})
            continue
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        runs.append(
            {"shapes": {k: v.shape for k, v in arrays.items()}, "dtypes": {k: v.dtype.name for k, v in arrays.items()}}
        )
        constants = {name: arrays[name] for name in job["constants"] if name in arrays}
        if number == 0:
            first = constants
            stored |= {f"0:{name}": array for name, array in constants.items()}
        else:
            stored |= {
                f"1:{name}": a
                for name, a in constants.items()
                if a.size <= MOST_COMPARED and not _same(a, first.get(name))
            }
        del values, arrays
    arrays_by_place: dict[str, Any] = {str(place): array for place, array in enumerate(stored.values())}
    np.savez(job["written"], **arrays_by_place)
    return {"reason": "", "runs": runs, "stored": list(stored)}


def _exposed(
    path: str, tensors: set[str], batch_axes: dict[str, int]
) -> tuple[onnxruntime.InferenceSession, list[str]]:
    """A session that puts out every one of the tensors, and their names; the batch is open, whatever the file says."""
    model = onnx.load(path)
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name in batch_axes and dims:
            dims[batch_axes[value.name]].dim_param = "edgecut_batch"
    for value in model.graph.output:
        if value.type.HasField("tensor_type"):  # one that has no type must not get an empty one
            value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    outputs = {value.name for value in model.graph.output}
    made = [name for node in model.graph.node for name in node.output if name in tensors]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made if name not in outputs)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session, [*dict.fromkeys(made)]


def _arrays(feeds: dict[str, Any]) -> dict[str, np.ndarray]:
    """Seeded inputs: floats in 0..1, integers and booleans 0 or 1."""
    random = np.random.default_rng(0)
    arrays = {}
    for name, (dtype, shape) in feeds.items():
        floats = "float" in dtype
        values = random.uniform(0, 1, shape) if floats else random.integers(0, 2, shape)
        arrays[name] = np.asarray(values).astype(dtype)
    return arrays


def _same(a: np.ndarray, b: np.ndarray | None) -> bool:
    return b is not None and a.shape == b.shape and bool(np.array_equal(a, b))


if __name__ == "__main__":
    main()
