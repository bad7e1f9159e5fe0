"""An .onnx file run with every tensor exposed: shapes, types, and what doesn't depend on the data. Runs in the child.

The job (JSON) names the file, what each input is fed at each batch, where its batch is, and which tensors are wanted or
constant. The answer has for each batch the shape and the dtype of each tensor, or the reason why there is none, and the
constants of the first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from edgecut.runtime.onnx_branches import inlined
from edgecut.sandbox.wire import Header
from edgecut.whole import scratch_folder


def traced(job: Header, refusals: tuple[type[Exception], ...]) -> tuple[Header, list[np.ndarray]]:
    """({"reason", "runs", "constants"}, the constants' values in the order of their names)."""
    try:
        session = exposed(job["path"], set(job["tensors"]), _plain_options(), job["batch_axes"])
    except refusals as exc:
        return {"reason": str(exc), "runs": [], "constants": []}, []
    names = [node.name for node in session.get_outputs()]
    runs: list[dict[str, Any]] = []
    constants: dict[str, np.ndarray] = {}
    for feeds in job["inputs"]:
        try:
            values = dict(zip(names, session.run(names, _arrays(feeds)), strict=True))
        except refusals as exc:
            runs.append({"reason": str(exc)})
            continue
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        shapes, dtypes = {k: v.shape for k, v in arrays.items()}, {k: v.dtype.name for k, v in arrays.items()}
        if not runs:
            constants = {name: arrays[name] for name in job["constants"] if name in arrays}
        runs.append({"shapes": shapes, "dtypes": dtypes})
        del values, arrays
    return {"reason": "", "runs": runs, "constants": list(constants)}, list(constants.values())


def exposed(path: str, tensors: Collection[str], options: Any, batch_axes: Mapping[str, int] | None = None) -> Any:
    """A session that puts out tensors of a file, too. batch_axes: of each input, whose batch is then open.

    Functions and sure branches are inlined, as the importer has them. Weights are in memory once when it returns.
    """
    import onnx
    import onnxruntime

    model = inlined(onnx.load(path))
    for value in model.graph.input if batch_axes else ():
        dims = value.type.tensor_type.shape.dim
        if batch_axes and value.name in batch_axes and dims:
            dims[batch_axes[value.name]].dim_param = "edgecut_batch"
    for value in model.graph.output if batch_axes else ():
        if value.type.HasField("tensor_type"):  # one that has no type must not get an empty one
            value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    outputs = {value.name for value in model.graph.output}
    made = [name for node in model.graph.node for name in node.output if name in tensors and name not in outputs]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
    with scratch_folder() as folder:
        file = f"{folder}/exposed.onnx"
        with open(file, "wb") as stream:
            stream.write(model.SerializeToString())
        del model
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def _plain_options() -> Any:
    """Each node computed by itself, and weights held once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")
    return options


def _arrays(feeds: dict[str, Any]) -> dict[str, np.ndarray]:
    """Seeded inputs: floats in 0..1, integers and booleans 0 or 1."""
    random = np.random.default_rng(0)
    arrays = {}
    for name, (dtype, shape) in feeds.items():
        floats = "float" in dtype
        values = random.uniform(0, 1, shape) if floats else random.integers(0, 2, shape)
        arrays[name] = np.asarray(values).astype(dtype)
    return arrays
