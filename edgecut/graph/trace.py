"""The graph of a model that has none: its call run once on symbolic tensors, leaving no trace behind."""

from __future__ import annotations

import inspect
import linecache
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NoReturn, TypeAlias

import keras
from keras import tree

from edgecut.errors import GraphError
from edgecut.graph.keras_private import Functional
from edgecut.graph.keras_types import NamedInputs, Structure
from edgecut.graph.sentences import OpError, telling_line

Graph: TypeAlias = "Functional | keras.Function"

_LIBRARIES = (
    *(str(Path(inspect.getfile(module)).parent) for module in (keras, sys.modules.get("tensorflow")) if module),
    str(Path(__file__).parent),
)
_USER_FAULTS = (
    TypeError,
    ValueError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    OpError,
)
_VARIADIC = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
_TAKES_IDS = {"Embedding", "ReversibleEmbedding", "NotEqual"}  # the last computes their masks


@contextmanager
def graph_of(model: keras.Model, inputs: NamedInputs | None = None) -> Iterator[Graph]:
    """A model's graph: its own, or what its call does to symbolic inputs.

    inputs: keras.Input tensors by argument of the call, alone or in lists and dicts; by default of the shapes that
    Keras recorded. Whatever tracing adds to the model's layers is taken away again on leaving.
    Raises GraphError if the model isn't built, or if its call can't be traced: then with the line that stopped it.
    """
    graph = own_graph(model)
    if graph is not None:
        if inputs is not None:
            raise GraphError(f"model {model.name!r} ({type(model).__name__}) declares its inputs; leave inputs= out")
        yield graph
        return
    with unmarked(_operations(model)):
        function = _traced(model, _inputs(model, ids=()) if inputs is None else _given(model, inputs))
        ids = () if inputs is not None else _id_inputs(function)
        if ids:
            function = _traced(model, _inputs(model, ids=ids))
        try:
            yield function
        finally:
            _unmark_untracked(function)


def own_graph(operation: keras.Operation) -> Functional | None:
    """The Functional graph that can be opened in place of an operation, None where there is none."""
    if isinstance(operation, keras.Sequential):
        unchanged = type(operation).call is keras.Sequential.call
        return operation._functional if unchanged else None
    if isinstance(operation, Functional):
        return operation if type(operation).call is Functional.call else None
    return None


@contextmanager
def unmarked(operations: Iterable[keras.Operation]) -> Iterator[None]:
    """Takes away again what calls in the meantime leave on these operations: nodes, losses and other names."""
    kept = [
        (
            operation,
            operation.name,
            list(operation._inbound_nodes),
            list(operation._outbound_nodes),
            list(_losses(operation)),
        )
        for operation in operations
    ]
    try:
        yield
    finally:
        for operation, name, inbound, outbound, losses in kept:
            operation.name = name
            operation._inbound_nodes[:] = inbound
            operation._outbound_nodes[:] = outbound
            _losses(operation)[:] = losses


def all_operations(model: keras.Model) -> list[keras.Operation]:
    """Every layer and operator of a model, those of nested models included."""
    found = {id(operation): operation for operation in _operations(model)}
    for layer in list(found.values()):
        for operation in getattr(layer, "operations", ()) if isinstance(layer, Functional) else ():
            found.setdefault(id(operation), operation)
    return list(found.values())


def _operations(model: keras.Model) -> list[keras.Operation]:
    return list(model._flatten_layers(include_self=True, recursive=True))


def _losses(operation: keras.Operation) -> list[keras.KerasTensor]:
    return getattr(operation, "_losses", [])


def _traced(model: keras.Model, inputs: NamedInputs) -> keras.Function:
    with _unbuilt_guarded(model):
        try:
            outputs = model.call(**inputs)
        except _Unbuilt as exc:
            raise GraphError(
                f"model {model.name!r} ({type(model).__name__}): its layer {exc.layer.name!r} isn't built; "
                "call the model once on a batch of its real inputs first"
            ) from exc
        except _USER_FAULTS as exc:
            raise GraphError(_what_stopped(model, exc)) from exc
    strange = [x for x in tree.flatten(outputs) if not isinstance(x, keras.KerasTensor)]
    if strange:
        raise GraphError(
            f"model {model.name!r} ({type(model).__name__}): its call returns a {type(strange[0]).__name__}, which "
            "doesn't come from its input through Keras operations; return tensors only"
        )
    given = list(inputs.values())
    try:
        return keras.Function(given[0] if len(given) == 1 else given, outputs)
    except ValueError as exc:
        raise GraphError(
            f"model {model.name!r} ({type(model).__name__}): its outputs don't depend on its inputs alone; "
            "build it as a Functional model"
        ) from exc


def _inputs(model: keras.Model, ids: tuple[int, ...]) -> dict[str, keras.KerasTensor]:
    """New Inputs by argument of the model's call, of the shapes that it was built on; ids: which take integers."""
    shapes = getattr(model, "_build_shapes_dict", None)
    if not model.built or not shapes:
        _raise_no_input(model)
    arguments = _arguments(model, len(shapes))
    count = 0

    def declare(shape: object, name: str) -> Structure:
        nonlocal count
        if isinstance(shape, dict):
            return {key: declare(part, str(key)) for key, part in shape.items()}
        sizes = tuple(shape) if isinstance(shape, Sequence) else ()
        if not all(size is None or isinstance(size, int) for size in sizes):
            return [declare(part, f"{name}_{k}") for k, part in enumerate(sizes)]
        dtype = "int32" if count in ids else model.input_dtype
        count += 1
        return keras.Input(batch_shape=(None, *sizes[1:]), dtype=dtype, name=name)

    if len(shapes) == 1:
        return {arguments[0]: declare(next(iter(shapes.values())), arguments[0])}
    named = {key.removesuffix("_shape"): shape for key, shape in shapes.items()}
    return {name: declare(named[name], name) for name in arguments if name in named}


def _given(model: keras.Model, inputs: NamedInputs) -> dict[str, keras.KerasTensor]:
    """Inputs like those that a caller names, checked against the arguments of the model's call."""
    where = f"inputs= of model {model.name!r} ({type(model).__name__})"
    found, needed = _parameters(model)
    if any(name not in inputs for name in needed) or any(name not in found for name in inputs):
        raise GraphError(f"{where}: its call takes {', '.join(map(repr, found))}, found {', '.join(map(repr, inputs))}")
    strange = [name for name, x in inputs.items() if not all(isinstance(t, keras.KerasTensor) for t in tree.flatten(x))]
    if strange:
        raise GraphError(f"{where}: {strange[0]!r} is no keras.Input(...), nor a list or dict of them")
    fresh = tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, sparse=x.sparse, name=x.name), dict(inputs)
    )
    return dict(fresh)


def _raise_no_input(model: keras.Model) -> NoReturn:
    """Say why there is no recorded input shape: the model wasn't called, or Keras couldn't trace its call either."""
    guess = next((layer._build_shapes_dict for layer in model._flatten_layers(include_self=False) if layer.built), None)
    if model.built and guess and len(guess) == 1:
        shape = next(iter(guess.values()))
        if isinstance(shape, tuple) and all(size is None or isinstance(size, int) for size in shape):
            try:
                with _unbuilt_guarded(model):
                    model.call(keras.Input(batch_shape=(None, *shape[1:])))
            except _USER_FAULTS as exc:
                raise GraphError(_what_stopped(model, exc)) from exc
    raise GraphError(
        f"model {model.name!r} ({type(model).__name__}) has no declared input; call it once on a batch of its real "
        "inputs, or, if it is Sequential, add a keras.Input in front"
    )


def _arguments(model: keras.Model, recorded: int) -> list[str]:
    """The names of the tensor arguments of a model's call, of which so many have a recorded shape."""
    found, needed = _parameters(model)
    if len(needed) > recorded:
        raise GraphError(
            f"model {model.name!r} ({type(model).__name__}) takes {', '.join(map(repr, needed))}, and Keras records "
            f"the shape of {recorded} of them; let its call take one list or dict, or name them in Python: "
            f"edgecut.cut(model, inputs={{{needed[0]!r}: keras.Input(...), ...}})"
        )
    return list(found)


def _parameters(model: keras.Model) -> tuple[list[str], list[str]]:
    """The arguments of a model's call that can hold tensors, and those of them that it can't do without."""
    parameters = inspect.signature(model.call).parameters
    found = {name: value for name, value in parameters.items() if name not in {"training", "mask"}}
    needed = [name for name, value in found.items() if value.default is value.empty and value.kind not in _VARIADIC]
    return list(found), needed


def _id_inputs(function: keras.Function) -> tuple[int, ...]:
    """The positions of the inputs that nothing but an Embedding takes: a model on ids, not on numbers."""
    takers: dict[int, list[keras.Operation]] = {id(x): [] for x in function.inputs}
    for nodes in function._nodes_by_depth.values():
        for node in nodes:
            for x in node.input_tensors:
                if id(x) in takers:
                    takers[id(x)].append(node.operation)
    kinds = [{type(operation).__name__ for operation in takers[id(x)]} for x in function.inputs]
    return tuple(position for position, found in enumerate(kinds) if "Embedding" in found and found <= _TAKES_IDS)


class _Unbuilt(Exception):
    """A layer without weights was called."""

    def __init__(self, layer: keras.Layer) -> None:
        super().__init__(layer.name)
        self.layer = layer


@contextmanager
def _unbuilt_guarded(model: keras.Model) -> Iterator[None]:
    """Keeps tracing from building a layer, which could not be undone."""
    unbuilt = [layer for layer in model._flatten_layers(include_self=False) if not layer.built]

    def guard(layer: keras.Layer) -> Callable[..., None]:
        def build(*shapes: object, **named_shapes: object) -> None:
            raise _Unbuilt(layer)

        return build

    for layer in unbuilt:
        # Keras's own __setattr__ would track the function as a part of the layer's state.
        object.__setattr__(layer, "build", guard(layer))
    try:
        yield
    finally:
        for layer in unbuilt:
            object.__delattr__(layer, "build")


def _unmark_untracked(function: keras.Function) -> None:
    """Take the traced nodes from layers that the call used without the model holding them."""
    nodes = {id(node) for nodes in function._nodes_by_depth.values() for node in nodes}
    for operation in function.operations:
        for marks in (operation._inbound_nodes, operation._outbound_nodes):
            marks[:] = [node for node in marks if id(node) not in nodes]


def _what_stopped(model: keras.Model, error: Exception) -> str:
    place, text = _user_line(error.__traceback__)
    line = f" by {place}: {text!r}" if place else ""
    reason = re.split(r"(?<=[a-z])[.] ", telling_line(error))[0]
    return (
        f"model {model.name!r} ({type(model).__name__}) can't be traced: its call was stopped{line} ({reason}); "
        "use keras.ops instead of tf.*, numpy or a branch on values, or build it as a Functional model"
    )


def _user_line(trace: TracebackType | None) -> tuple[str, str]:
    """("file.py:12", "source text") of the innermost line that is neither Keras's nor TensorFlow's nor ours."""
    own = [
        frame
        for frame in traceback.extract_tb(trace)
        if not frame.filename.startswith((*_LIBRARIES, sys.base_prefix + "/lib/python")) and frame.lineno
    ]
    if not own:
        return "", ""
    frame = own[-1]
    return f"{frame.filename}:{frame.lineno}", linecache.getline(frame.filename, frame.lineno or 0).strip()
