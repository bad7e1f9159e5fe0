"""Where a file's time goes on a machine, operator by operator."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgecut.bench.devices import Device
from edgecut.bench.runners.local import Local
from edgecut.bench.runners.protocol import TIMEOUT_S, Machine
from edgecut.bench.runners.table import machine_of
from edgecut.bench.runners.vela import Vela, simulate
from edgecut.errors import GraphError, MissingRuntimeError, RunError
from edgecut.records.usage import FileTimes, OperatorTime, OperatorTimes
from edgecut.runtime.specs import file_format
from edgecut.tflite.cut import Parts
from edgecut.tflite.flatbuffer import Operator, TfliteGraph, parse, read, read_content
from edgecut.tflite.layers import layer_in, layer_of

if TYPE_CHECKING:
    from edgecut.bench.jobs import Job, Row

ALONE_METHOD = "each operator as a file of its own, median processor time, the cost of an invoke included"
LITERT_METHOD = (
    "LiteRT's own profile, median in whole microseconds, rounded down; fused operators are shown as it runs them"
)
VELA_METHOD = "Vela's cycles / the clock: simulated; what runs on the processor has no time"
ONNX_METHOD = "ONNX Runtime's own profile, median of the kernel's wall time; fused operators are shown as it runs them"
NOT_ALONE = "operators are timed one by one of a .tflite file alone, which can be cut at each"
# Operators with weights -> what XNNPACK calls the kernels that they may become (xnnpack/src/operators).
KERNELS = {
    "CONV_2D": ("Convolution", "Fully Connected"),
    "DEPTHWISE_CONV_2D": ("Convolution",),
    "FULLY_CONNECTED": ("Fully Connected",),
    "TRANSPOSE_CONV": ("Deconvolution",),
}


def operator_times(
    path: str | Path,
    *,
    runs: int = 15,
    warmup: int = 3,
    threads: int = 1,
    timeout_s: float = TIMEOUT_S,
    device: Device | None = None,
) -> FileTimes:
    """What each operator takes on a device, by default in a child process on this machine.

    In the graph, by the profile of LiteRT or ONNX Runtime, or as Vela simulates it; and one by one, for a .tflite file:
    their sum is more than the file's latency by an invoke for each, and less where one operator's memory slows another.
    Raises SourceError if the file can't be read, RunError if no operator has a time, RequestError for a device without
    times.
    """
    file, runner = Path(path), Local() if device is None else device.runner
    if isinstance(runner, Vela):
        simulated = simulate(file, None if device is None else device.profile, timeout_s).rows
        rows = [OperatorTime(k, r.operator, r.layer, r.seconds, reason=r.reason) for k, r in enumerate(simulated)]
        return FileTimes(OperatorTimes(with_shares(rows), VELA_METHOD), OperatorTimes((), "", NOT_ALONE))
    machine = machine_of(runner)
    settings: Job = {"runs": runs, "warmup": warmup, "threads": threads}
    if file_format(file) == "onnx":
        result = machine.run({**settings, "job": "onnx_operators"}, [file], timeout_s=timeout_s)
        rows = [
            # tf2onnx names a node after the tensor of the .tflite file that it was made from.
            OperatorTime(k, row["operator"], layer_in(row["name"]) or row["name"], row["seconds"])
            for k, row in enumerate(result["rows"])
        ]
        found = OperatorTimes(with_shares(rows), ONNX_METHOD)
        return FileTimes(found, OperatorTimes((), "", NOT_ALONE), statistics.median(result["wall_s"]))
    in_graph, file_s = _in_graph(file, machine, settings, timeout_s)
    alone = OperatorTimes(with_shares(_one_by_one(file, machine, settings, timeout_s)), ALONE_METHOD)
    return FileTimes(in_graph, alone, file_s)


def with_shares(rows: Iterable[OperatorTime]) -> tuple[OperatorTime, ...]:
    """The rows with their shares of the sum of all times, and the shares added up so far."""
    listed = list(rows)
    total, before, result = sum(row.seconds or 0.0 for row in listed), 0.0, []
    for row in listed:
        if row.seconds is None or not total:
            result.append(row)
            continue
        share = row.seconds / total
        before += share
        result.append(OperatorTime(row.index, row.operator, row.layer, row.seconds, share, before, row.reason))
    return tuple(result)


def _in_graph(file: Path, machine: Machine, settings: Job, timeout_s: float) -> tuple[OperatorTimes, float | None]:
    """(the operators of a .tflite file by LiteRT's profile, or why there are none; the seconds of the whole file)."""
    try:
        result = machine.run({**settings, "job": "litert_operators"}, [file], timeout_s=timeout_s)
    except (RunError, MissingRuntimeError) as exc:
        return OperatorTimes((), "", str(exc).removeprefix(f"{file}: ")), None
    layers = layers_of(result["rows"], read(file))
    rows = [
        OperatorTime(k, row["operator"], layer, row["seconds"])
        for k, (row, layer) in enumerate(zip(result["rows"], layers, strict=True))
    ]
    return OperatorTimes(with_shares(rows), LITERT_METHOD), statistics.median(result["wall_s"])


def layers_of(rows: Sequence[Row], graph: TfliteGraph) -> list[str]:
    """The layer of each operator that LiteRT's profile tells of, "" where it isn't sure.

    What LiteRT runs itself has its number in the file. XNNPACK numbers its own: its kernels of weights are the file's
    in their order, if there are as many and each is of the kind; others have no layer.
    """
    weighed = set[str]().union(*KERNELS.values())
    ran = {row["node"]: k for k, row in enumerate(rows) if "node" in row}
    found = {k: graph.operators[node] for node, k in ran.items() if node < len(graph.operators)}
    own = [operator for operator in graph.operators if operator.name in KERNELS and operator.index not in ran]
    told = [(k, name) for k, row in enumerate(rows) if "node" not in row and (name := _kernel(row)) in weighed]
    if len(told) == len(own) and all(name in KERNELS[op.name] for (_, name), op in zip(told, own, strict=True)):
        found |= {k: operator for (k, _), operator in zip(told, own, strict=True)}
    return [layer_of(graph, found[k]) if k in found else "" for k in range(len(rows))]


def _kernel(row: Row) -> str:
    """What XNNPACK calls an operator, without the types and the layout behind it."""
    return row["operator"].partition(" (")[0]


def _one_by_one(file: Path, machine: Machine, settings: Job, timeout_s: float) -> list[OperatorTime]:
    """The operators of a .tflite file, each timed as a file of its own."""
    content = read_content(file)
    graph = parse(content, str(file))
    whole = Parts(content, graph)
    with tempfile.TemporaryDirectory() as folder:
        found = [_part(whole, operator, Path(folder)) for operator in graph.operators]
        parts = [part for part in found if isinstance(part, Path)]
        result = machine.run({**settings, "job": "times"}, parts, timeout_s=timeout_s) if parts else {"rows": []}
    times = iter(result["rows"])
    rows = []
    for operator, part in zip(graph.operators, found, strict=True):
        told: Row = next(times) if isinstance(part, Path) else {"error": part}
        seconds = statistics.median(told["cpu_s"]) if "cpu_s" in told else None
        layer = layer_of(graph, operator)
        rows.append(OperatorTime(operator.index, operator.name, layer, seconds, reason=told.get("error", "")))
    if not any(row.seconds is not None for row in rows):
        reasons = "; ".join(dict.fromkeys(row.reason for row in rows)) or "it has no operators"
        raise RunError(f"{file}: no operator could be timed: {reasons}")
    return rows


def _part(whole: Parts, operator: Operator, folder: Path) -> Path | str:
    """The operator as a file, or why it can't be one."""
    tensors = whole.graph.tensors
    fed = tuple(dict.fromkeys(i for i in operator.inputs if i >= 0 and not tensors[i].is_constant))
    try:
        part = whole.cut(operator.outputs, fed)
    except GraphError as exc:
        return str(exc)
    path = folder / f"{operator.index}.tflite"
    path.write_bytes(part)
    return path
