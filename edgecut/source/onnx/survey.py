"""What importing a file would give, told without TensorFlow: operators, places, what stands in the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from edgecut.source.onnx.names import layer_names
from edgecut.source.onnx.nodes import Network, Node, read_network
from edgecut.source.onnx.operators import REASONS, RULES
from edgecut.source.onnx.reading import OnnxFile, read_file
from edgecut.source.onnx.tracing import Tensor, graph_inputs, graph_outputs

_RGB = 3
QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear"})


@dataclass(frozen=True)
class Refused:
    """An operator that no layer computes. places: the names of its nodes."""

    operator: str
    places: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Survey:
    """operators: how often each occurs. layers: what they would become, where nothing is refused.

    cuts: the tensors at which a cut leaves all that is refused behind it. names: what layers may be called.
    """

    path: Path
    exporter: str
    opset: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: Mapping[str, int]
    layers: Mapping[str, int]
    refused: tuple[Refused, ...]
    cuts: tuple[str, ...]
    open_inputs: tuple[str, ...]
    quantized: bool
    notes: tuple[str, ...]
    names: tuple[str, ...] = ()


def survey(path: str | Path, *, dequantize: bool = False) -> Survey:
    """What an import of an .onnx file would give. Raises SourceError for a file that can't be read."""
    file = read_file(path)
    return survey_network(file, read_network(file), dequantize=dequantize)


def survey_network(file: OnnxFile, network: Network, *, dequantize: bool = False) -> Survey:
    """The same of a part of a file that was read."""
    refused = _refused(network, dequantize)
    quantized = _is_quantized(network)
    counts = Counter(node.operator for node in network.nodes)
    layers = Counter(RULES[op].layer for op in counts.elements() if op in RULES and RULES[op].layer)
    inputs = graph_inputs(file)
    return Survey(
        path=file.path,
        exporter=file.producer,
        opset=file.opset,
        inputs=inputs,
        outputs=graph_outputs(file),
        operators=dict(counts.most_common()),
        layers=dict(layers.most_common()),
        refused=refused,
        cuts=() if quantized else cuts_before(network, {place for item in refused for place in item.places}),
        open_inputs=tuple(t.name for t in inputs if None in t.shape[1:]),
        quantized=quantized,
        notes=tuple(_notes(inputs, counts, file)),
        names=tuple(layer_names(network.nodes).values()),
    )


def refusal(surveyed: Survey) -> str:
    """What stands in the way, with all places, and where a cut avoids it."""
    said = []
    for item in surveyed.refused:
        shown = ", ".join(map(repr, item.places[:4])) + (
            f" and {len(item.places) - 4} more" if len(item.places) > 4 else ""
        )
        said.append(f"{item.operator} ({item.reason}) at {shown}")
    return f"can't be imported: {'; '.join(said)}{cut_remedy(surveyed.path, surveyed.cuts)}"


def cut_remedy(path: Path, cuts: Sequence[str]) -> str:
    """The end of a sentence: the command whose file has nothing of what is refused; "" where nothing is before it."""
    if not cuts:
        return ""
    return (
        f"; cut it off, and import the part: edgecut cut {quote(str(path))} --to {quote(','.join(cuts))} -o part.onnx"
    )


def _refused(network: Network, dequantize: bool) -> tuple[Refused, ...]:
    by_operator: dict[tuple[str, str], list[str]] = {}
    for node in network.nodes:
        reason = _reason(node, network, dequantize)
        if reason:
            by_operator.setdefault((node.operator, reason), []).append(node.name)
    return tuple(Refused(op, tuple(places), reason) for (op, reason), places in by_operator.items())


def _reason(node: Node, network: Network, dequantize: bool) -> str:
    if node.operator in QUANTIZED and not dequantize:
        return "the file is quantized already; give the float file that it was made of, or pass --dequantize"
    rule = RULES.get(node.operator)
    if rule is None:
        domain = node.operator.rpartition(".")[0]
        return REASONS.get(node.operator, f"of the domain {domain}" if domain else "no layer computes it")
    changing = [k for k in rule.constants if node.input(k) and node.input(k) not in network.constants]
    return f"its input {changing[0]} is computed from the data" if changing else ""


def cuts_before(network: Network, places: Collection[str]) -> tuple[str, ...]:
    """The last tensors that nothing refused goes into. places: the names of the nodes that are refused."""
    tainted: set[str] = set()
    cuts: dict[str, None] = {}
    for node in network.nodes:
        if node.name in places or tainted.intersection((*node.inputs, *node.captured)):
            tainted.update(node.outputs)
            for name in (*node.inputs, *node.captured):
                if name and name not in tainted and name not in network.constants and name not in network.inputs:
                    cuts[name] = None
    return tuple(cuts)


def _is_quantized(network: Network) -> bool:
    return any(node.operator in QUANTIZED for node in network.nodes)


def _notes(inputs: Sequence[Tensor], counts: Mapping[str, int], file: OnnxFile) -> list[str]:
    notes = []
    if any(tensor.shape and tensor.shape[0] == 1 for tensor in inputs):
        notes.append(
            "takes one input at a time; the model made of it takes any number (dynamic_axes or dynamic_shapes of "
            "torch.onnx.export leave the batch open)"
        )
    if counts.get("Conv") and not counts.get("BatchNormalization") and "pytorch" in file.producer:
        notes.append(
            "its BatchNormalization is folded into the convolutions, so quantization-aware training has none to "
            "adapt; torch.onnx.export(..., training=TrainingMode.PRESERVE, do_constant_folding=False) of a model in "
            "eval() keeps it"
        )
    if "pytorch" in file.producer and any(len(t.shape) == 4 and t.shape[1] == _RGB for t in inputs):
        notes.append(
            "takes pictures of three channels, which torchvision and timm normalize with a mean and deviation for "
            "each (preprocess torch): a gray stem is exact only on raw pixels"
        )
    return notes
