"""Cut, start, drop, replace, insert: each an edit of the call list, rebuilt into a fresh model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from edgecut.errors import GraphError
from edgecut.graph.calls import Call, Calls, Tensor, ancestors, calls, descendants, flat
from edgecut.graph.cuts import frontier, legal_starts
from edgecut.graph.proof import prove_edit
from edgecut.graph.rebuild import Splice, fresh_input, rebuild, unique_name

LayerRef = str | int
Replacement = tuple[LayerRef, LayerRef, keras.Model | Callable[..., Any]]


def cut(
    model: keras.Model,
    to: LayerRef | Sequence[LayerRef] | None = None,
    start: LayerRef | Sequence[LayerRef] | None = None,
    drop: str | Sequence[str] = (),
    replace: Sequence[Replacement] = (),
    insert: Sequence[tuple[LayerRef, keras.Layer | Callable[..., Any]]] = (),
    multi: bool = False,
) -> keras.Model:
    """A fresh model that is the part of `model` asked for; without arguments a deep copy.

    to: the layer (or layers, for several outputs) that ends it. start: the layer whose output feeds it, or a list
    that names all entries; multi=True adds the entries that are missing. drop: names or "a..b", the layers to leave
    out, with what follows kept. replace: (first, last, model or callable). insert: (after, layer or callable).
    Names are as in `edgecut inspect`: "layer", "outer.inner", "layer@k", "layer:j", or a position.
    The result shares no weight with the source, and the source isn't changed.
    Raises GraphError with the names that would do, if a name is unknown or the graph doesn't allow the edit.
    """
    return edit(model, to, start, drop, replace, insert, multi, prove=False).model


@dataclass(frozen=True)
class EditResult:
    """A model made of another's calls, and the proof that it computes what they do.

    proof: {"inputs", "max_abs_error", "exact"}, exact meaning bit-equal to the source's own layers on seeded inputs;
    empty if none was asked for. An edit that is a plain function makes new layers each time it is called, so the
    proof then covers what comes before it, and `notes` says so.
    """

    model: keras.Model
    proof: dict[str, Any]
    notes: tuple[str, ...] = ()


def edit(
    model: keras.Model,
    to: LayerRef | Sequence[LayerRef] | None = None,
    start: LayerRef | Sequence[LayerRef] | None = None,
    drop: str | Sequence[str] = (),
    replace: Sequence[Replacement] = (),
    insert: Sequence[tuple[LayerRef, keras.Layer | Callable[..., Any]]] = (),
    multi: bool = False,
    *,
    prove: bool = True,
) -> EditResult:
    """The same as `cut`, with the proof of the result."""
    graph = calls(model)
    splices = _splices(graph, (drop,) if isinstance(drop, str) else drop, replace, insert)
    outputs = _outputs(graph, to)
    if start is None:
        starts: tuple[Tensor, ...] = ()
        result = rebuild(graph, outputs=outputs, splices=splices, **_used_inputs(graph, flat(outputs), splices))
    else:
        starts = _starts(graph, start, flat(outputs), multi=multi)
        result = rebuild(graph, entries=_entries(graph, starts), outputs=outputs, splices=splices)
    if not prove:
        return EditResult(result, {})
    repeatable = all(
        isinstance(splice.function, keras.Layer) or splice.function is _same for splice in splices.values()
    )
    if repeatable:
        return EditResult(result, prove_edit(graph, result, flat(outputs), starts, splices))
    ends = tuple(dict.fromkeys(x for splice in splices.values() for x in splice.sources))
    part = rebuild(graph, outputs=list(ends), **_used_inputs(graph, ends, {}))
    note = f"the proof covers what comes before the edit, up to {_names(graph, ends)}"
    return EditResult(result, prove_edit(graph, part, ends), (note,))


def _splices(
    graph: Calls,
    drops: Sequence[str],
    replacements: Sequence[Replacement],
    insertions: Sequence[tuple[LayerRef, keras.Layer | Callable[..., Any]]],
) -> dict[Tensor, Splice]:
    splices: dict[Tensor, Splice] = {}
    for text in drops:
        first, last = _range(graph, text)
        _add(splices, graph, *_bridge(graph, first, last, _same, f"drop {text!r}"))
    for first_ref, last_ref, body in replacements:
        first, last = graph.find(first_ref), graph.find(last_ref)
        where = f"replace '{first.name}..{last.name}'"
        _add(splices, graph, *_bridge(graph, first, last, _as_function(body), where))
    for after, layer in insertions:
        tensor = _one(graph, after)
        _add(splices, graph, tensor, Splice((tensor,), _as_function(layer)))
    return splices


def _same(tensor: Any) -> Any:
    return tensor


def _outputs(graph: Calls, to: LayerRef | Sequence[LayerRef] | None) -> Any:
    if to is None:
        return graph.outputs
    if isinstance(to, str | int):
        tensors = graph.tensors(to)[1]
        return tensors[0] if len(tensors) == 1 else list(tensors)
    return [tensor for ref in to for tensor in graph.tensors(ref)[1]]


def _used_inputs(graph: Calls, outputs: Iterable[Tensor], splices: dict[Tensor, Splice]) -> dict[str, Any]:
    """The entries and inputs of a model that starts where its source does: only those inputs that are still used."""
    needed = ancestors(graph, [*outputs, *(x for splice in splices.values() for x in splice.sources)])
    whole = flat(graph.inputs)
    used = [tensor for tensor in whole if graph.producer[tensor] in needed]
    if len(used) == len(whole) or not used:
        return {}
    entries = {tensor: fresh_input(graph, tensor) for tensor in used}
    if isinstance(graph.inputs, dict):
        return {
            "entries": entries,
            "inputs": {k: entries[v] for k, v in graph.inputs.items() if v in entries},
        }
    return {"entries": entries, "inputs": [entries[tensor] for tensor in used]}


def _starts(
    graph: Calls, start: LayerRef | Sequence[LayerRef], outputs: Sequence[Tensor], *, multi: bool
) -> tuple[Tensor, ...]:
    refs = (start,) if isinstance(start, str | int) else tuple(start)
    starts = tuple(tensor for ref in refs for tensor in graph.tensors(ref)[1])
    behind = descendants(graph, starts)
    idle = [graph.tensor_name[t] for t in outputs if t not in starts and graph.producer[t] not in behind]
    if len(idle) == len(outputs):
        raise GraphError(f"from {_names(graph, starts)}: the output {idle[0]!r} doesn't depend on it; start before it")
    missing = frontier(graph, starts, outputs)
    if missing and not multi:
        legal = _nearest(graph, starts)
        raise GraphError(
            f"from {_names(graph, starts)}: the rest also needs {_names(graph, missing)}; name all of them, "
            f"pass multi=True (--multi) to add them as inputs{f', or start at {legal}' if legal else ''}"
        )
    return (*starts, *missing)


def _entries(graph: Calls, starts: Sequence[Tensor]) -> dict[Tensor, keras.KerasTensor]:
    taken = {call.layer for call in graph if not call.is_input}
    entries = {}
    for tensor in starts:
        wanted = graph.tensor_name[tensor].replace(":", "_").replace("@", "_")
        name = wanted if graph.producer[tensor].is_input else unique_name(f"{wanted}_in", taken)
        taken.add(name)
        entries[tensor] = fresh_input(graph, tensor, name=name)
    return entries


def _nearest(graph: Calls, starts: Sequence[Tensor]) -> str:
    """The legal starts before and after the given tensors, as "'a' or 'b'"."""
    order = {graph.tensor_name[tensor]: i for i, tensor in enumerate(graph.producer)}
    position = order[graph.tensor_name[starts[0]]]
    legal = legal_starts(graph)
    before = [name for name in legal if order[name] < position][-1:]
    after = [name for name in legal if order[name] > position][:1]
    return " or ".join(repr(name) for name in before + after)


def _range(graph: Calls, text: str) -> tuple[Call, Call]:
    first, dots, last = text.partition("..")
    return graph.find(first), graph.find(last if dots else first)


def _bridge(graph: Calls, first: Call, last: Call, body: Callable[..., Any], where: str) -> tuple[Tensor, Splice]:
    """The splice that puts `body` in the place of the calls from `first` to `last`."""
    inside = _between(graph, first, last, where)
    made = {tensor for call in inside for tensor in call.outputs}
    if len(last.outputs) != 1:
        raise GraphError(f"{where}: {last.name!r} puts out {len(last.outputs)} tensors; a range ends in exactly one")
    fed = tuple(dict.fromkeys(first.inputs))
    if len(fed) != 1:
        raise GraphError(
            f"{where}: {first.name!r} takes {len(fed)} tensors ({_names(graph, fed)}); a range begins with one that "
            "takes exactly one"
        )
    leaks = [
        tensor for tensor in made - {last.outputs[0]}
        if any(call not in inside for call in graph.consumers[tensor]) or tensor in flat(graph.outputs)
    ]  # fmt: skip
    if leaks:
        raise GraphError(
            f"{where}: {_names(graph, leaks)} is also used behind the range; end the range where the branches have met"
        )
    return last.outputs[0], Splice(fed, body)


def _between(graph: Calls, first: Call, last: Call, where: str) -> set[Call]:
    if first.is_input:
        raise GraphError(f"{where}: {first.name!r} is a model input; begin behind it")
    inside = ({first} | descendants(graph, first.outputs)) & ancestors(graph, last.outputs)
    if first not in inside or last not in inside:
        raise GraphError(f"{where}: {last.name!r} doesn't depend on {first.name!r}; give the range in calling order")
    return inside


def _add(splices: dict[Tensor, Splice], graph: Calls, tensor: Tensor, splice: Splice) -> None:
    if tensor in splices:
        raise GraphError(f"two edits change {graph.tensor_name[tensor]!r}; make them one")
    splices[tensor] = splice


def _as_function(body: keras.Model | keras.Layer | Callable[..., Any]) -> Callable[..., Any]:
    """A function on Keras tensors; a model is rebuilt in place, layer by layer, so that nothing of it is shared."""
    if isinstance(body, keras.Model):
        # A rebuilt copy is called, so that the caller's model keeps its own graph and weights.
        return rebuild(calls(body))
    return body


def _one(graph: Calls, ref: LayerRef) -> Tensor:
    call, tensors = graph.tensors(ref)
    if len(tensors) != 1:
        raise GraphError(f"layer {call.name!r} puts out {len(tensors)} tensors; say which, as in '{call.name}:0'")
    return tensors[0]


def _names(graph: Calls, tensors: Iterable[Tensor]) -> str:
    return ", ".join(repr(graph.tensor_name[tensor]) for tensor in tensors)
