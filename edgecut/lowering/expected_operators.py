"""Which TFLite operators a saved model's layers become, by the rules for a live one; without Keras."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecut.graph.tensor import needed
from edgecut.lowering.lower import operators_by_layer
from edgecut.lowering.saved_calls import saved_calls
from edgecut.records.json_value import JsonObject
from edgecut.tflite.kinds import KINDS

_RECURRENT = frozenset({"GRU", "LSTM", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})


def expected_operators(config: JsonObject, to: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
    """(layer, operator) for each operator that is known, "outer.inner" in nested models, in the file's order.

    config: of a functional or sequential model. to: keep only what these layers need; () keeps the whole model.
    What no rule knows, such as a Lambda, says nothing: the written file does.
    """
    saved = saved_calls(config)
    ends = [tensor for name in to for tensor in saved.named.get(name, ())]
    if not to:
        read = {tensor for call in saved.calls for tensor in call.inputs}
        unread = [tensor for call in saved.calls for tensor in call.outputs if tensor not in read]
        ends = [*dict.fromkeys((*saved.outputs, *unread))]
    rows = operators_by_layer(saved.calls, ends)
    return tuple((layer, name) for layer, operators in rows.items() for name in operators if name in KINDS)


def recurrent_loops(config: JsonObject, to: Sequence[str] = ()) -> Iterator[tuple[str, str, int | None]]:
    """(layer, class, steps) of each recurrent layer that is unrolled for calibration; steps: None where open."""
    saved = saved_calls(config)
    producer = {tensor: call for call in saved.calls for tensor in call.outputs}
    part = needed(producer, [tensor for name in to for tensor in saved.named.get(name, ())])
    for call in saved.calls:
        unrolled = call.config.get("unroll") or call.config.get("go_backwards")
        if call.type in _RECURRENT and not unrolled and (not to or call in part):
            shape = call.inputs[0].shape
            yield call.name, call.type, shape[1] if len(shape) > 1 else None
