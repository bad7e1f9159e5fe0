"""Cut, start, drop, replace, insert: each an edit of the call list, rebuilt into a fresh model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypedDict, Unpack

import keras

from edgecut.errors import GraphError
from edgecut.graph.blocks import block
from edgecut.graph.callgraph import Calls, Tensor, ancestors, descendants, flat
from edgecut.graph.calls import calls
from edgecut.graph.cuts import frontier, legal_starts
from edgecut.graph.keras_types import NamedInputs, Structure, TensorFunction, TensorTree
from edgecut.graph.live import params_of
from edgecut.graph.masks import no_mask
from edgecut.graph.naming import unique_name
from edgecut.graph.proof import prove_edit
from edgecut.graph.ranges import Bodies, LayerRef, bridge, check_single, lost_masks, range_of, rebuild_model, spliced
from edgecut.graph.rebuild import Built, Splice, build, fresh_input
from edgecut.graph.trace import all_operations, unmarked
from edgecut.records.facts import ModelFacts, Shape
from edgecut.records.keywords import check_keywords
from edgecut.records.proof import Proof

Body: TypeAlias = keras.Model | keras.Layer | TensorFunction | str
Entries: TypeAlias = Mapping[Tensor, keras.KerasTensor]
Replacement: TypeAlias = tuple[LayerRef, LayerRef, Body]
Insertion: TypeAlias = tuple[LayerRef, Body]


def cut(
    model: keras.Model,
    to: LayerRef | Sequence[LayerRef] | None = None,
    start: LayerRef | Sequence[LayerRef] | None = None,
    drop: LayerRef | Sequence[LayerRef] = (),
    replace: Sequence[Replacement] = (),
    insert: Sequence[Insertion] = (),
    multi: bool = False,
    **options: Unpack[CutOptions],
) -> keras.Model:
    """A fresh model that is the part of `model` asked for; without arguments a deep copy.

    to: the layer (or layers, for several outputs) that ends it. start: the layer whose output feeds it, or a list
    that names all entries; multi=True adds the entries that are missing. drop: names or "a..b", the layers to leave
    out, with what follows kept. replace: (first, last, body). insert: (after, body). A body is a model, a layer, a
    function on Keras tensors, or a text for blocks.block. project=True puts a 1x1 projection behind a body, or in the
    place of dropped layers, where the width differs from what was there.
    inputs: what a subclassed model's call is given where it takes several arguments: {"argument": keras.Input(...)}.
    Names are as in `edgecut inspect`: "layer", "outer.inner", "layer@k", "layer:j", "layer:mask", or a position.
    The result shares no weight with the source, and the source isn't changed.
    Raises GraphError with the names that would do, if a name is unknown or the graph doesn't allow the edit.

    >>> model = edgecut.load("bell.keras")
    >>> edgecut.cut(model, to="conv").output_shape
    (None, 4, 4, 4)
    """
    check_keywords("cut", options, CutOptions)
    project, inputs = options.get("project", False), options.get("inputs")
    changes = Changes(drop=drop, replace=replace, insert=insert, multi=multi, project=project)
    return edit(model, to, start, prove=False, inputs=inputs, **changes).model


class CutOptions(TypedDict, total=False):
    """The keywords of edgecut.cut beside its arguments."""

    project: bool
    inputs: NamedInputs | None


class Changes(TypedDict, total=False):
    """What is changed in the part that stays, as cut() takes it."""

    drop: LayerRef | Sequence[LayerRef]
    replace: Sequence[Replacement]
    insert: Sequence[Insertion]
    multi: bool
    project: bool


@dataclass(frozen=True)
class EditResult:
    """A model made of another's calls, and the proof that it computes what they do.

    proof: exact means bit-equal to the source's own layers, with the edit's bodies in their places, on seeded inputs;
    where not exact, it has a tolerance and a reason. Empty if none was asked for. before, after: source and result.
    weights_dropped: how many weights of the source the result doesn't hold.
    """

    model: keras.Model
    proof: Proof
    before: ModelFacts
    after: ModelFacts
    notes: tuple[str, ...] = ()
    weights_dropped: int = 0


def edit(
    model: keras.Model,
    to: LayerRef | Sequence[LayerRef] | None = None,
    start: LayerRef | Sequence[LayerRef] | None = None,
    *,
    prove: bool = True,
    inputs: NamedInputs | None = None,
    **changes: Unpack[Changes],
) -> EditResult:
    """The same as `cut`, with the proof of the result.

    Raises StepError if the result differs from its source by more than rounding.
    """
    check_keywords("edit", changes, Changes)
    graph = calls(model, inputs)
    with unmarked(all_operations(model)):
        splices, hidden = _splices(graph, changes)
        outputs = _outputs(graph, to, hidden)
        starts = (
            () if start is None else _starts(graph, start, flat(outputs), splices, multi=changes.get("multi", False))
        )
        if start is None:
            is_whole = to is None and not splices
            entries, fed = (None, None) if is_whole else _used_inputs(graph, flat(outputs), splices)
            built = build(graph, entries=entries, inputs=fed, outputs=outputs, splices=splices)
        else:
            built = build(graph, entries=_entries(graph, starts), outputs=outputs, splices=splices)
        result = _freed(built.model, model)
        proof = Proof()
        if prove:
            made = {tensor: Splice(splices[tensor].sources, f) for tensor, f in built.functions.items()}
            proof = prove_edit(graph, result, flat(outputs), starts, {**splices, **made})
    return EditResult(
        result, proof, _facts(graph), _model_facts(result), _notes(graph, starts, splices), _dropped(graph, built)
    )


def _splices(graph: Calls, changes: Changes) -> tuple[dict[Tensor, Splice], dict[Tensor, str]]:
    """What takes the place of which tensor, and the tensors that an edit takes away, with that edit."""
    splices: dict[Tensor, Splice] = {}
    hidden: dict[Tensor, str] = {}
    bodies = Bodies()
    drop, project = changes.get("drop", ()), changes.get("project", False)
    drops = (drop,) if isinstance(drop, str | int) else drop
    ranges: list[tuple[LayerRef, LayerRef, Body | None, str]] = [
        (*_ends(graph, ref), None, f"drop {str(ref)!r}") for ref in drops
    ]
    ranges += [
        (first, last, body, _replace_text(graph, first, last)) for first, last, body in changes.get("replace", ())
    ]
    for first, last, body, where in ranges:
        found = range_of(graph, first, last, where)
        if body is None or isinstance(body, str):
            check_single(graph, found, first, where)
        if body is None:
            splice = bridge(found)
        else:
            body = block(body, found.fed[0]) if isinstance(body, str) else body
            splice = Splice(found.fed, bodies.function(body, len(found.fed), where))
        _add(splices, graph, found.end, Splice(splice.sources, splice.function, project))
        splices.update({mask: Splice((), no_mask) for mask in lost_masks(graph, found)})
        hidden.update({x: where for call in found.inside for x in call.outputs if x is not found.end})
    for after, body in changes.get("insert", ()):
        tensor = _one(graph, after)
        made = block(body, tensor) if isinstance(body, str) else body
        function = bodies.function(made, 1, f"insert after {graph.tensor_name[tensor]!r}")
        _add(splices, graph, tensor, Splice((tensor,), function, project))
    return splices, hidden


def _outputs(graph: Calls, to: LayerRef | Sequence[LayerRef] | None, hidden: Mapping[Tensor, str]) -> TensorTree:
    if to is None:
        return graph.outputs
    refs = (to,) if isinstance(to, str | int) else tuple(to)
    if not refs:
        raise GraphError("to names no layer; leave it out to keep the model's own outputs")
    tensors = [tensor for ref in refs for tensor in graph.tensors(ref)[1]]
    for tensor in tensors:
        if tensor in hidden:
            raise GraphError(f"to {graph.tensor_name[tensor]!r} is taken away by {hidden[tensor]}; end elsewhere")
    return tensors[0] if len(tensors) == 1 and isinstance(to, str | int) else tensors


def _used_inputs(
    graph: Calls, outputs: Iterable[Tensor], splices: Mapping[Tensor, Splice]
) -> tuple[Entries | None, Structure]:
    """The entries and inputs of a model that starts where its source does: only those inputs that are still used."""
    edited, new = spliced(graph, splices)
    needed = {call.outputs for call in ancestors(edited, [new.get(x, x) for x in outputs])}
    whole = flat(graph.inputs)
    used = [tensor for tensor in whole if (tensor,) in needed]
    if len(used) == len(whole) or not used:
        return None, None
    entries = {tensor: fresh_input(graph, tensor) for tensor in used}
    if isinstance(graph.inputs, dict):
        return entries, _used_part(graph.inputs, entries)
    return entries, [entries[tensor] for tensor in used]


def _used_part(structure: TensorTree, entries: Entries) -> Structure:
    """The structure of a model's inputs with entries in the tensors' places, without those that have none."""
    if isinstance(structure, Tensor):
        return entries.get(structure)
    if isinstance(structure, Mapping):
        parts = {key: _used_part(part, entries) for key, part in structure.items()}
        return {key: part for key, part in parts.items() if part is not None} or None
    return [part for part in (_used_part(part, entries) for part in structure or ()) if part is not None] or None


def _starts(
    graph: Calls,
    start: LayerRef | Sequence[LayerRef],
    outputs: Sequence[Tensor],
    splices: Mapping[Tensor, Splice],
    *,
    multi: bool,
) -> tuple[Tensor, ...]:
    refs = (start,) if isinstance(start, str | int) else tuple(start)
    if not refs:
        raise GraphError("start names no layer; leave it out to keep the model's own inputs")
    starts = tuple(dict.fromkeys(tensor for ref in refs for tensor in graph.tensors(ref)[1]))
    edited, new = spliced(graph, splices)
    ends = [new.get(tensor, tensor) for tensor in outputs]
    behind = {call.outputs for call in descendants(edited, starts)}
    idle = [
        graph.tensor_name[old]
        for old, x in zip(outputs, ends, strict=True)
        if x not in starts and edited.producer[x].outputs not in behind
    ]
    if len(idle) == len(outputs):
        raise GraphError(f"from {_names(graph, starts)}: the output {idle[0]!r} doesn't depend on it; start before it")
    missing = _unspliced(frontier(edited, starts, ends), splices, new, starts)
    if missing and not multi:
        legal = _nearest(graph, starts)
        raise GraphError(
            f"from {_names(graph, starts)}: the rest also needs {_names(graph, missing)}; name all of them, "
            f"pass multi=True (--multi) to add them as inputs{f', or start at {legal}' if legal else ''}"
        )
    return (*starts, *missing)


def _unspliced(
    missing: Iterable[Tensor], splices: Mapping[Tensor, Splice], new: Mapping[Tensor, Tensor], starts: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Missing tensors with what edits are computed from in the place of what they compute."""
    old = {edited: tensor for tensor, edited in new.items()}
    pending, found = list(missing), dict[Tensor, None]()
    while pending:
        tensor = pending.pop(0)
        if tensor in old:
            replaced = old[tensor]
            pending.extend(x if x is replaced else new.get(x, x) for x in splices[replaced].sources)
        elif tensor not in starts:
            found[tensor] = None
    return tuple(found)


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


def _ends(graph: Calls, ref: LayerRef) -> tuple[LayerRef, LayerRef]:
    """The first and last of "a..b"; a position may be written in digits there."""
    if isinstance(ref, int):
        return ref, ref
    first, dots, last = ref.partition("..")

    def read(text: str) -> LayerRef:
        return int(text) if text.lstrip("-").isdigit() and text not in graph.names else text

    return read(first), read(last if dots else first)


def _replace_text(graph: Calls, first: LayerRef, last: LayerRef) -> str:
    named = [ref if isinstance(ref, str) else graph.find(ref).name for ref in (first, last)]
    return f"replace '{named[0]}..{named[1]}'"


def _add(splices: dict[Tensor, Splice], graph: Calls, tensor: Tensor, splice: Splice) -> None:
    if tensor in splices:
        raise GraphError(f"two edits change {graph.tensor_name[tensor]!r}; make them one")
    splices[tensor] = splice


def _freed(result: keras.Model, source: keras.Model) -> keras.Model:
    """The result, or a copy of it if a given function has put layers of the source into it."""
    own = {id(operation) for operation in all_operations(source)}
    shared = any(id(operation) in own for operation in all_operations(result))
    return rebuild_model(result) if shared else result


def _one(graph: Calls, ref: LayerRef) -> Tensor:
    call, tensors = graph.tensors(ref)
    if len(tensors) != 1:
        raise GraphError(f"layer {call.name!r} puts out {len(tensors)} tensors; say which, as in '{call.name}:0'")
    return tensors[0]


def _names(graph: Calls, tensors: Iterable[Tensor]) -> str:
    return ", ".join(repr(graph.tensor_name[tensor]) for tensor in tensors)


def _notes(graph: Calls, starts: Sequence[Tensor], edits: Mapping[Tensor, Splice]) -> tuple[str, ...]:
    masks = [tensor for tensor in starts if tensor in graph.mask_tensors]
    found = [f"{_names(graph, masks)} is a mask and an input of its own"] if masks else []
    if edits:
        found.append("the proof runs the source's own layers with the edit in place; what it does to accuracy is open")
    return tuple(found)


def _facts(graph: Calls) -> ModelFacts:
    operations = {id(call.operation): call.operation for call in graph}
    return ModelFacts(
        inputs={graph.tensor_name[tensor]: tensor.shape for tensor in flat(graph.inputs)},
        outputs={graph.tensor_name[tensor]: tensor.shape for tensor in flat(graph.outputs)},
        params=sum(params_of(operation) for operation in operations.values()),
    )


def _model_facts(model: keras.Model) -> ModelFacts:
    return ModelFacts(
        inputs={x._keras_history.operation.name: tuple(x.shape) for x in model.inputs},
        outputs=_output_shapes(model),
        params=model.count_params(),
    )


def _output_shapes(model: keras.Model) -> dict[str, Shape]:
    """{name: shape}, "name:j" for the j-th output of a layer that puts several out."""
    named: dict[str, Shape] = {}
    for x in model.outputs:
        history = x._keras_history
        several = len(history.operation._inbound_nodes[history.node_index].outputs) > 1
        name = f"{history.operation.name}:{history.tensor_index}" if several else history.operation.name
        named[unique_name(name, set(named))] = tuple(x.shape)
    return named


def _dropped(graph: Calls, built: Built) -> int:
    return _facts(graph).params - sum(params_of(operation) for operation in built.kept)
