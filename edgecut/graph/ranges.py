"""The calls that "A..B" means, and what an edit puts in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import keras
from keras import tree

from edgecut.errors import GraphError
from edgecut.graph.callgraph import Call, Calls, Tensor, ancestors, data_inputs, descendants, flat
from edgecut.graph.calls import calls
from edgecut.graph.clones import clone_operation, copy_layer_state
from edgecut.graph.keras_types import S, Structure, TensorFunction
from edgecut.graph.masks import Mask
from edgecut.graph.rebuild import Splice, rebuild

LayerRef = str | int


@dataclass(frozen=True, eq=False)
class Range:
    """The calls from one to another. fed: the tensors that they take from outside. end: the one that they put out."""

    inside: frozenset[Call]
    fed: tuple[Tensor, ...]
    end: Tensor


def range_of(graph: Calls, first: LayerRef, last: LayerRef, where: str) -> Range:
    """The range from one layer to another, with the side branches that lead into it alone.

    where: put in front of a message. Raises GraphError if the graph has no such range, or if it leaks: if a tensor
    inside is used behind the range.
    """
    begin, fed = _begin(graph, first, where)
    end = _end(graph, last, where)
    behind = begin | descendants(graph, [tensor for call in begin for tensor in call.outputs])
    inside = {call for call in behind & ancestors(graph, [end]) if not isinstance(call.operation, Mask)}
    if not begin & inside:
        raise GraphError(f"{where}: {str(last)!r} doesn't depend on {str(first)!r}; give the range in calling order")
    inside = _with_side_branches(graph, inside, fed)
    leaks = [
        tensor
        for call in graph
        if call in inside
        for tensor in call.outputs
        if tensor is not end and (_used_outside(graph, tensor, inside) or tensor in flat(graph.outputs))
    ]
    if leaks:
        raise GraphError(
            f"{where}: {_names(graph, leaks)} is also used behind the range; end the range where the branches have met"
        )
    return Range(frozenset(inside), _entering(graph, inside), end)


def bridge(found: Range) -> Splice:
    """The splice that leaves a range out: its one input in the place of its output."""
    return Splice(found.fed, same)


def lost_masks(graph: Calls, found: Range) -> list[Tensor]:
    """The masks that layers of a range make, and those that are computed from them."""
    inherited = {graph.masks.get(tensor) for tensor in found.fed}
    made = [graph.masks.get(tensor) for call in graph if call in found.inside for tensor in call.outputs]
    lost = [mask for mask in dict.fromkeys(made) if mask is not None and mask not in inherited]
    for call in graph:
        if not isinstance(call.operation, keras.Layer) and any(tensor in lost for tensor in call.inputs):
            lost += [tensor for tensor in call.outputs if tensor not in lost]
    return lost


def same(tensor: keras.KerasTensor) -> keras.KerasTensor:
    """The tensor itself."""
    return tensor


def check_single(graph: Calls, found: Range, first: LayerRef, where: str) -> None:
    """Raises GraphError if a range takes more than one tensor from outside."""
    if len(found.fed) != 1:
        call = graph.find(first)
        own = data_inputs(graph, call)
        if len(own) > 1 and set(own) == set(found.fed):
            raise GraphError(
                f"{where}: {call.name!r} takes {len(own)} tensors ({_names(graph, own)}); a range begins with one that "
                "takes exactly one"
            )
        raise GraphError(
            f"{where}: the range takes {len(found.fed)} tensors ({_names(graph, found.fed)}); begin it where these part"
        )


class Bodies:
    """Functions on Keras tensors out of models, layers and callables; each is copied once, however often it is used."""

    def __init__(self) -> None:
        """No copies yet."""
        self._copies: dict[int, tuple[keras.Layer, keras.Layer]] = {}

    def function(self, body: keras.Model | keras.Layer | TensorFunction, fed: int, where: str) -> TensorFunction:
        """What `body` computes, on as many tensors as the range takes; nothing of a model or layer is shared.

        Raises GraphError if a model has another number of inputs or outputs.
        """
        if isinstance(body, keras.Model):
            copied: keras.Model = self._copy(body, rebuild_model)
            if len(copied.inputs) != fed or len(copied.outputs) != 1:
                raise GraphError(
                    f"{where}: the range takes {fed} and puts out 1 tensor, and the model {body.name!r} takes "
                    f"{len(copied.inputs)} and puts out {len(copied.outputs)}"
                )
            return lambda *tensors: _single(copied(tree.pack_sequence_as(copied._inputs_struct, list(tensors))))
        if isinstance(body, keras.Layer):
            layer = self._copy(body, _copy_layer)
            return layer if fed == 1 else lambda *tensors: layer(list(tensors))
        return body

    def _copy(self, body: keras.Layer, make: Callable[[keras.Layer], keras.Layer]) -> keras.Layer:
        if id(body) not in self._copies:
            self._copies[id(body)] = (body, make(body))
        return self._copies[id(body)][1]


def rebuild_model(model: keras.Model) -> keras.Model:
    """A deep copy of a model."""
    return rebuild(calls(model))


def spliced(graph: Calls, splices: Mapping[Tensor, Splice]) -> tuple[Calls, Mapping[Tensor, Tensor]]:
    """The call list as the edits leave it, for questions about what depends on what, and the new name of each
    replaced tensor.
    """
    new = {tensor: replace(tensor) for tensor in splices}

    def renewed(structure: S) -> S:
        return tree.map_structure(lambda x: new.get(x, x) if isinstance(x, Tensor) else x, structure)

    rows: list[Call] = []
    for call in graph:
        rows.append(replace(call, inputs=tuple(new.get(x, x) for x in call.inputs)))
        for tensor in call.outputs:
            if tensor in splices:
                sources = tuple(x if x is tensor else new.get(x, x) for x in splices[tensor].sources)
                name = f"{graph.tensor_name[tensor]} (edited)"
                rows.append(Call(name, name, keras.layers.Identity(), (), {}, sources, (new[tensor],)))
    return replace(graph, calls=tuple(rows), outputs=renewed(graph.outputs)), new


def _begin(graph: Calls, first: LayerRef, where: str) -> tuple[set[Call], tuple[Tensor, ...]]:
    """The calls that a range begins with, and the tensors that they take: those of a nested model, or the layer's."""
    nested = graph.opened.get(first) if isinstance(first, str) else None
    if nested is not None:
        inside = descendants(graph, nested.fed) & ancestors(graph, nested.outputs, stop=nested.fed)
        return {call for call in inside if any(x in nested.fed for x in call.inputs)}, nested.fed
    call = graph.find(first)
    if call.is_input:
        raise GraphError(f"{where}: {call.name!r} is a model input; begin behind it")
    return {call}, data_inputs(graph, call)


def _end(graph: Calls, last: LayerRef, where: str) -> Tensor:
    call, tensors = graph.tensors(last)
    if len(tensors) != 1:
        raise GraphError(f"{where}: {call.name!r} puts out {len(tensors)} tensors; a range ends in exactly one")
    return tensors[0]


def _with_side_branches(graph: Calls, inside: set[Call], fed: Iterable[Tensor]) -> set[Call]:
    """The range with the branches that part where it begins and end in it, if then it takes nothing but `fed`."""
    grown, wanted = set(inside), set(fed)
    while True:
        other = [tensor for tensor in _entering(graph, grown) if tensor not in wanted]
        if not other:
            return grown
        call = graph.producer[other[0]]
        if call.is_input or any(
            _used_outside(graph, tensor, grown) or tensor in flat(graph.outputs) for tensor in call.outputs
        ):
            return inside
        grown.add(call)


def _entering(graph: Calls, inside: set[Call]) -> tuple[Tensor, ...]:
    made = {tensor for call in inside for tensor in call.outputs}
    taken = [tensor for call in graph if call in inside for tensor in data_inputs(graph, call)]
    return tuple(dict.fromkeys(tensor for tensor in taken if tensor not in made))


def _used_outside(graph: Calls, tensor: Tensor, inside: set[Call]) -> bool:
    return any(call not in inside and not isinstance(call.operation, Mask) for call in graph.consumers[tensor])


def _copy_layer(layer: keras.Layer) -> TensorFunction:
    clone = clone_operation(layer, layer.name)
    if not layer.built:
        return clone

    def call(*tensors: keras.KerasTensor) -> keras.KerasTensor:
        result = clone(*tensors)
        copy_layer_state(layer, clone, layer.name)
        return result

    return call


def _single(outputs: Structure) -> keras.KerasTensor:
    return tree.flatten(outputs)[0]


def _names(graph: Calls, tensors: Iterable[Tensor]) -> str:
    return ", ".join(repr(graph.tensor_name[tensor]) for tensor in tensors)
