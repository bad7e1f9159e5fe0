"""Whether a runtime has a kernel for each operator of a .tflite file, a fast one, or none, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from edgecut.tflite.flatbuffer import Operator, Tensor, TfliteGraph
from edgecut.tflite.kinds import CHEAP, MULTIPLIES
from edgecut.tflite.layers import called, layer_of
from edgecut.tflite.support_tables import CMSIS_NN, ESP_NN, ETHOS_U, MVP, TFLM, TFLM_COMMIT, TINYENGINE, XNNPACK
from edgecut.tflite.support_types import TFLM_TYPES

State = Literal["supported", "slow", "unsupported"]

FAST = {"cmsis-nn": CMSIS_NN, "esp-nn": ESP_NN}
LIBRARY = {"cmsis-nn": "CMSIS-NN", "esp-nn": "ESP-NN"}

# Registered in TFLM's sources of today and absent from libraries that boards ship: one said "Didn't find op SUM".
LATE = frozenset({"SUM"})

FIXED_BATCH = "export with the batch fixed at 1: a dynamic batch is what leaves SHAPE, STRIDED_SLICE and PACK"
REMEDIES = {
    "SUM": "use a mean instead (GlobalAveragePooling2D), its size multiplied into the next layer's weights",
    "SHAPE": FIXED_BATCH,
    "GELU": "retrain with relu6 or relu in place of gelu; no rewrite computes the same",
    "POW": "write a square as x * x, and retrain without other powers",
    "TILE": "use UpSampling2D (nearest) or concatenate",
    "CONV_3D": "cut before it, or use 2D convolutions",
    "TOPK_V2": "cut before it and choose the best scores on the device",
    "ONE_HOT": "cut before it and encode on the device",
    "WHERE": "multiply by a mask instead",
    "EXP": "cut before it and compute it on the device from the output's 256 values",
    "HARD_SWISH": "retrain with relu6 in place of hard-swish; no rewrite computes the same",
    "RESIZE_BILINEAR": "resize by nearest neighbour, or in int8",
}
# Operators that a model's author can do something about, known by the model's layers before a file is written.
ADVISED = frozenset({*REMEDIES, "MEAN"})
POOL_AS_AVERAGE = (
    "use AveragePooling1D or AveragePooling2D of all places in place of the global pooling, in int8 coarser"
)
POOL_AS_MEAN = "use the global pooling in place of AveragePooling1D or AveragePooling2D of all places: the same numbers"


@dataclass(frozen=True)
class Verdict:
    """What a runtime makes of one operator.

    dtype: of the data, "dynamic" for float data with int8 weights. layer: of the source model, "" if the file doesn't
    tell. reason, remedy: "" where it is supported; remedy also where none is known.
    """

    index: int
    operator: str
    version: int
    dtype: str
    layer: str
    state: State
    reason: str = ""
    remedy: str = ""

    def sentence(self) -> str:
        """The verdict in one sentence without a full stop."""
        place = f"layer {self.layer!r}" if self.layer else f"operator {self.index}"
        return f"{place}: {self.operator} ({self.dtype}) {self.reason}" + (f"; {self.remedy}" if self.remedy else "")


def verdicts(graph: TfliteGraph, runtime: str, kernels: str = "", version: str = "") -> tuple[Verdict, ...]:
    """A verdict for each operator in execution order; () for a runtime whose kernels aren't known.

    runtime, kernels, version: as in a profile's [runtime].
    """
    kernels = kernels.lower()
    if runtime not in {"tflm", "litert"} and kernels != "tinyengine":
        return ()
    return tuple(_verdict(graph, operator, runtime, kernels, version) for operator in graph.operators)


def judge_operator(name: str, dtype: str, runtime: str, kernels: str = "", version: str = "") -> tuple[State, str, str]:
    """(state, reason, remedy) of an operator with data of a dtype; what verdicts() asks for each."""
    if runtime == "tflm":
        state, reason = _tflm(name, dtype, kernels.lower(), version)
    else:
        state, reason = _litert(name, dtype) if runtime == "litert" else _tinyengine(name, dtype)
    return state, reason, "" if state == "supported" else _remedy(name, runtime, state)


def unsupported(found: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """The verdicts that keep a file from running."""
    return tuple(verdict for verdict in found if verdict.state == "unsupported")


def aborts(graph: TfliteGraph) -> tuple[str, ...]:
    """What in a file's numbers makes TensorFlow Lite Micro end the whole program, a sentence for each operator."""
    reasons = ((operator, _abort(graph, operator)) for operator in graph.operators)
    return tuple(f"{called(graph, operator)} {reason}" for operator, reason in reasons if reason)


def data_type(graph: TfliteGraph, operator: Operator) -> str:
    """The dtype of an operator's data: its first input that is no constant; "dynamic" for float with int8 weights."""
    by_role = _types_by_role(graph, operator)
    present = [graph.tensors[i] for i in operator.inputs if i >= 0]
    fed = [t for t in present if not t.is_constant] or present
    data = fed[0] if fed else None
    for role in ("data", "weights"):
        if role in by_role:
            data = by_role[role][0]
            break
    if data is None:
        return ""
    weights = graph.tensors[operator.inputs[1]].dtype if len(operator.inputs) > 1 and operator.inputs[1] >= 0 else ""
    dynamic = operator.name in MULTIPLIES and data.dtype == "float32" and weights == "int8"
    return "dynamic" if dynamic else data.dtype


def _verdict(graph: TfliteGraph, operator: Operator, runtime: str, kernels: str, version: str) -> Verdict:
    dtype = data_type(graph, operator)
    state, reason, remedy = judge_operator(operator.name, dtype, runtime, kernels, version)
    if runtime == "tflm" and state != "unsupported":
        misfit = _misfit(graph, operator) or _abort(graph, operator)
        if misfit:
            state, reason, remedy = "unsupported", misfit, REMEDIES.get(operator.name, "")
    return Verdict(
        operator.index, operator.name, operator.version, dtype, layer_of(graph, operator), state, reason, remedy
    )


def _misfit(graph: TfliteGraph, operator: Operator) -> str:
    """Why no kernel of TFLM takes an operator's tensors together; "" if one does."""
    tensors = [graph.tensors[index] for index in (*operator.inputs, *operator.outputs) if index >= 0]
    if any(tensor.blockwise for tensor in tensors):
        return "has values quantized in blocks, which TensorFlow Lite Micro doesn't read"
    if any(tensor.is_sparse for tensor in tensors):
        return "has sparse values, which TensorFlow Lite Micro doesn't unpack"
    return _untried(graph, operator)


def _untried(graph: TfliteGraph, operator: Operator) -> str:
    """Why the types of an operator's tensors don't run together; "" where they do, or none were tried."""
    if operator.name not in TFLM_TYPES:
        return ""
    by_role = _types_by_role(graph, operator)
    mixed = next((role for role, tensors in by_role.items() if len({t.dtype for t in tensors}) > 1), None)
    if mixed is not None:
        found = ", ".join(dict.fromkeys(t.dtype for t in by_role[mixed]))
        return f"has {found} side by side, which TensorFlow Lite Micro doesn't mix"
    order = _roles_in_order(operator.name)
    types = {role: tensors[0].dtype for role, tensors in by_role.items()}
    for row in TFLM_TYPES[operator.name][2]:
        taken = dict(zip(order, row.split(" "), strict=True))
        if all(taken[role] == "*" or dtype in taken[role].split("|") for role, dtype in types.items()):
            return ""
    found = ", ".join(f"{dtype} {role}" for role, dtype in types.items())
    return f"has {found}, which no kernel of TensorFlow Lite Micro takes together"


def _types_by_role(graph: TfliteGraph, operator: Operator) -> dict[str, list[Tensor]]:
    """The tensors of each role whose type is judged; {} for an operator that wasn't tried."""
    if operator.name not in TFLM_TYPES:
        return {}
    found: dict[str, list[Tensor]] = {}
    sides = zip(TFLM_TYPES[operator.name][:2], (operator.inputs, operator.outputs), strict=True)
    for roles, indices in sides:
        named = _named(roles)
        for place, index in enumerate(indices):
            role = named[min(place, len(named) - 1)]
            if role != "-" and index >= 0:
                found.setdefault(role, []).append(graph.tensors[index])
    return found


def _roles_in_order(name: str) -> tuple[str, ...]:
    inputs, outputs, _ = TFLM_TYPES[name]
    return tuple(dict.fromkeys(role for role in _named(f"{inputs} {outputs}") if role != "-"))


def _named(roles: str) -> list[str]:
    """The roles of a row one by one, where "weights*4" stands for four."""
    pairs = (part.partition("*") for part in roles.split(" "))
    return [role for role, _, times in pairs for _ in range(int(times or 1))]


def _abort(graph: TfliteGraph, operator: Operator) -> str:
    """Why TFLM ends the program while it prepares an operator; "" if it doesn't, as far as is known.

    A SOFTMAX of 8 bits multiplies its input by beta * scale * 2^26, which must be more than 1
    (PreprocessSoftmaxScaling and QuantizeMultiplierGreaterThanOne of quantization_util.cc, a TFLITE_CHECK).
    """
    if operator.name != "SOFTMAX" or not operator.inputs or operator.inputs[0] < 0:
        return ""
    data = graph.tensors[operator.inputs[0]]
    beta = float(operator.options.get("beta", 1.0) or 0.0)
    if data.dtype != "int8" or not data.scales or beta * data.scales[0] * 2**26 > 1:
        return ""
    return (
        f"takes values of scale {data.scales[0]:.1g}, which TensorFlow Lite Micro can't hold and aborts on: what it is "
        "computed from hardly varied on the calibration images, as dead features do"
    )


def _tflm(name: str, dtype: str, kernels: str, version: str) -> tuple[State, str]:
    if name not in TFLM:
        return "unsupported", "is not registered in TensorFlow Lite Micro"
    if name in LATE and TFLM_COMMIT not in version:
        return "unsupported", (
            f"is in TFLM's sources since {TFLM_COMMIT} at the latest and missing from libraries that boards ship "
            f"(\"Didn't find op {name}\"); the profile's runtime.version doesn't say {TFLM_COMMIT!r}"
        )
    takes = TFLM[name]
    wanted = "float32" if dtype == "dynamic" else dtype
    if takes and wanted not in takes:
        return "unsupported", f"has no {dtype} kernel in TensorFlow Lite Micro, which takes {', '.join(takes)}"
    if dtype == "dynamic":
        return "unsupported", "has float data and int8 weights, which TensorFlow Lite Micro doesn't mix"
    return _fast(name, dtype, kernels)


def _fast(name: str, dtype: str, kernels: str) -> tuple[State, str]:
    if name == "SHAPE":
        return "slow", "is computed in every run, and many libraries that boards ship don't register it"
    if name in CHEAP:
        return "supported", ""
    if kernels == "ethos-u":
        on_cpu = name not in ETHOS_U or dtype == "float32"
        return ("slow", "isn't taken by the Ethos-U and runs on the processor") if on_cpu else ("supported", "")
    if kernels == "mvp" and (name not in MVP or dtype != "int8"):
        return "slow", f"in {dtype} has no kernel on the MVP and runs on the processor"
    if kernels not in FAST:
        return "supported", ""
    if name not in FAST[kernels]:
        return "slow", f"has no {LIBRARY[kernels]} kernel and runs reference code"
    if dtype == "float32":
        return "slow", f"in float32 has no {LIBRARY[kernels]} kernel and runs reference code"
    return "supported", ""


def _tinyengine(name: str, dtype: str) -> tuple[State, str]:
    if name not in TINYENGINE:
        return "unsupported", "isn't taken by TinyEngine's converter"
    if dtype != "int8" and name not in CHEAP:
        return "unsupported", f"has {dtype} data, and TinyEngine's kernels are for int8"
    return "supported", ""


def _litert(name: str, dtype: str) -> tuple[State, str]:
    if name == "SHAPE":
        return "slow", "is computed in every run, and XNNPACK takes no RESHAPE whose shape is computed"
    if dtype == "int16" and name not in CHEAP:
        return "slow", "in int16 is never taken by XNNPACK"
    if name in CHEAP or dtype in XNNPACK.get(name, ()):
        return "supported", ""
    if XNNPACK.get(name):
        return "slow", f"isn't taken by XNNPACK in {dtype}; it takes {', '.join(XNNPACK[name])}"
    return "slow", "isn't taken by XNNPACK"


def _remedy(name: str, runtime: str, state: State) -> str:
    if state == "slow" and name == "MEAN":
        return POOL_AS_AVERAGE
    if state == "slow" and name == "AVERAGE_POOL_2D" and runtime == "litert":
        return POOL_AS_MEAN
    return REMEDIES.get(name, "")
