"""GRU, LSTM and RNN in one or both directions, with the layouts and gate orders that ONNX has for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from edgecut.source.onnx.building import Site, Unsupported
from edgecut.source.onnx.layout import BATCH, View

# Where Keras' gates are among ONNX's: z r h of both; i o f c as i f c o.
_GATES = {"GRU": [0, 1, 2], "LSTM": [0, 2, 3, 1], "RNN": [0]}
_ACTIVATIONS = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "hardsigmoid": "hard_sigmoid",
    "softsign": "softsign",
    "softplus": "softplus",
    "elu": "elu",
}


@dataclass(frozen=True)
class Direction:
    """The weights of one direction as Keras has them. backward: whether it begins at the end."""

    weights: tuple[np.ndarray, ...]
    activations: tuple[str, ...]
    backward: bool


def gru(site: Site) -> None:
    """GRU, whose reset gate is before or behind the product (linear_before_reset)."""
    _recurrent(site, 2)


def lstm(site: Site) -> None:
    """LSTM without peepholes."""
    if site.has(7) and np.any(site.weight(7)):
        raise Unsupported("has peepholes, which no Keras layer has")
    if site.attribute("input_forget", 0):
        raise Unsupported("couples its gates, which no Keras layer does")
    _recurrent(site, 3)


def rnn(site: Site) -> None:
    """RNN."""
    _recurrent(site, 1)


def _recurrent(site: Site, functions: int) -> None:
    if "clip" in site.node.attributes:
        raise Unsupported("clips its gates, which no Keras layer does")
    rows = bool(site.attribute("layout", 0))
    view = site.tensor_view()
    steps, batch = (1, 0) if rows else (0, 1)
    if view.axes[batch] != (BATCH,):
        raise Unsupported(f"has the batch in another axis than {batch}")
    x = site.mover.ordered(view, [steps, 2]).tensor
    length = int(x.shape[1])
    if site.has(4) and (not site.is_constant(4) or np.any(site.constant(4) != length)):
        raise Unsupported("takes the length of each sequence, which no Keras layer does without a mask")
    directions = _directions(site, functions)
    outputs, states = [], []
    for k, direction in enumerate(directions):
        layer = _layer(site, direction, "" if len(directions) == 1 else ("forward", "backward")[k])
        initial = _initial(site, k, rows)
        options = {"initial_state": initial if len(initial) > 1 else initial[0]} if initial else {}
        result = site.call(layer, x, direction.weights, **options)
        outputs.append(_forwards(site, result[0]) if direction.backward else result[0])
        states.append(result[1:])
    _keep(site, outputs, states, rows)


def _forwards(site: Site, y: Any) -> Any:
    """The steps in their order; what reads from the end puts them out in its own."""
    return site.op(lambda t: t[:, ::-1], y, suffix="turned") if y is not None else y


def _keep(site: Site, outputs: Sequence[Any], states: Sequence[Sequence[Any]], rows: bool) -> None:
    """Y (steps, directions, batch, units) and the last states (directions, batch, units), or batch first."""
    count = len(outputs)
    y = outputs[0]
    if count > 1:
        y = site.call(site.layer(keras.layers.Concatenate, "outputs"), list(outputs))
        units = int(outputs[0].shape[-1])
        y = site.mover.reshaped(y, (int(y.shape[1]), count, units))
        whole = View(y, ((BATCH,), (1,), (2,), (3,)) if rows else ((1,), (2,), (BATCH,), (3,)))
    else:
        whole = View(y, ((BATCH,), (1,), (), (2,)) if rows else ((1,), (), (BATCH,), (2,)))
    views = {0: whole}
    for place in range(len(states[0])):
        if len(site.node.outputs) <= place + 1 or not site.node.outputs[place + 1]:
            continue
        state = states[0][place]
        if count > 1:
            joined = site.call(site.layer(keras.layers.Concatenate, f"state{place}"), [s[place] for s in states])
            state = site.mover.reshaped(joined, (count, int(states[0][place].shape[-1])))
            views[place + 1] = View(state, ((BATCH,), (1,), (2,)) if rows else ((1,), (BATCH,), (2,)))
        else:
            views[place + 1] = View(state, ((BATCH,), (), (1,)) if rows else ((), (BATCH,), (1,)))
    site.outs(views)


def _layer(site: Site, direction: Direction, suffix: str) -> Any:
    kernel = direction.weights[1]
    units = kernel.shape[0]
    options: dict[str, Any] = {
        "units": units,
        "return_sequences": True,
        "return_state": True,
        "go_backwards": direction.backward,
        "use_bias": True,
    }
    if site.node.operator == "RNN":
        return site.layer(keras.layers.SimpleRNN, suffix, activation=direction.activations[0], **options)
    options |= {"recurrent_activation": direction.activations[0], "activation": direction.activations[1]}
    if site.node.operator == "LSTM":
        return site.layer(keras.layers.LSTM, suffix, unit_forget_bias=False, **options)
    return site.layer(keras.layers.GRU, suffix, reset_after=bool(site.attribute("linear_before_reset", 0)), **options)


def _directions(site: Site, functions: int) -> list[Direction]:
    kernels, recurrent, biases = site.weight(1), site.weight(2), site.optional(3)
    name = site.attribute("direction", "forward")
    units, gates = int(recurrent.shape[2]), _GATES[site.node.operator]
    activations = _activations(site, functions, len(kernels))
    result = []
    for k in range(len(kernels)):
        w = np.concatenate([kernels[k].reshape(len(gates), units, -1)[g] for g in gates]).T
        r = np.concatenate([recurrent[k].reshape(len(gates), units, -1)[g] for g in gates]).T
        both = (
            np.zeros((2, len(gates), units), np.float32) if biases is None else biases[k].reshape(2, len(gates), units)
        )
        both = both[:, gates].reshape(2, -1)
        after = site.node.operator == "GRU" and site.attribute("linear_before_reset", 0)
        bias = both if after else both.sum(0)
        backward = name == "reverse" or (name == "bidirectional" and k == 1)
        result.append(Direction((w, r, bias), activations[k], backward))
    return result


def _activations(site: Site, functions: int, directions: int) -> list[tuple[str, ...]]:
    default = {1: ["Tanh"], 2: ["Sigmoid", "Tanh"], 3: ["Sigmoid", "Tanh", "Tanh"]}[functions] * directions
    own = [x.decode() if isinstance(x, bytes) else str(x) for x in site.attribute("activations", default)]
    names = [name.lower() for name in own]
    unknown = [name for name in names if name not in _ACTIVATIONS]
    slopes = site.attribute("activation_alpha", None), site.attribute("activation_beta", None)
    if unknown or any(slopes) or "hardsigmoid" in names:
        raise Unsupported(f"has the activations {own}, and Keras' recurrent layers have none of that kind")
    result = [tuple(_ACTIVATIONS[n] for n in names[k * functions : (k + 1) * functions]) for k in range(directions)]
    if functions == 3 and any(one[1] != one[2] for one in result):
        raise Unsupported("has another activation for its cell than for its output, which no Keras layer has")
    return result


def _initial(site: Site, direction: int, rows: bool) -> list[Any]:
    """The initial states of a direction, none where they are zeros."""
    places = [5, 6] if site.node.operator == "LSTM" else [5]
    fed = [k for k in places if site.has(k) and not (site.is_constant(k) and not np.any(site.constant(k)))]
    if not fed:
        return []
    states: list[Any] = []
    units = int(site.weight(2).shape[2])
    for k in places:
        if k in fed:
            states.append(_state(site, k, direction, rows))
        else:
            states.append(site.as_tensor(np.zeros((1, units), np.float32)))
    return states


def _state(site: Site, index: int, direction: int, rows: bool) -> Any:
    view = site.view(index)
    which = 1 if rows else 0
    if isinstance(view.tensor, np.ndarray):
        value = np.take(view.tensor[0], direction, axis=which)
        if len(value) > 1 and np.any(value != value[:1]):
            raise Unsupported("begins with other states for each element of the batch")
        return site.as_tensor(value[:1])
    if view.axes[1 - which] != (BATCH,):
        raise Unsupported("takes states whose batch is in another axis")
    moved = site.mover.ordered(view, [which, 2])
    return site.op(lambda t: t[:, direction], moved.tensor, suffix="initial")
