"""Every private name of Keras that edgecut uses, why, and since which Keras it has been there.

The releases from 3.0 on were searched for them.

Keras has no public way to read a graph of calls, to call a layer's own signature, or to count names anew. The imports
below are the only ones from keras.src in the package; ATTRIBUTES lists what is read of Keras' own objects. A test
(tests/graph/test_keras_private.py) fails, by name, where a Keras release has moved one, and where another module takes
one that isn't listed here.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras.src import backend

# The table of names that Keras makes up, which must be counted as in a new process; and registered classes. Since 3.0.
from keras.src.backend.common import global_state

# How a layer sorts its call's arguments: which are tensors, which are masks. Since 3.0.
from keras.src.layers.layer import CallSpec

# A model of the functional API, also where a Sequential holds one; and how a node's operation is called. Since 3.0.
from keras.src.models.functional import Functional, operation_fn

# The operation that a dtype policy puts between two layers. Since 3.0.
from keras.src.ops.core import Cast

# A call in the graph: its operation, arguments and outputs. Since 3.0.
from keras.src.ops.node import Node

# What a layer and an operation of keras.ops have in common. Since 3.0; public as keras.Operation without its scopes.
from keras.src.ops.operation import Operation

# Whether a Lambda may be built again from its configuration. Since 3.0.
from keras.src.saving.serialization_lib import SafeModeScope

# "conv2d" for Conv2D, as Keras names a layer. Since 3.0.
from keras.src.utils.naming import to_snake_case

# Whether a method is a layer's own or the base class'. Since 3.0.
from keras.src.utils.python_utils import is_default

__all__ = [
    "ATTRIBUTES",
    "CallSpec",
    "Cast",
    "Functional",
    "Node",
    "Operation",
    "SafeModeScope",
    "backend",
    "global_state",
    "is_default",
    "operation_fn",
    "to_snake_case",
]


@dataclass(frozen=True)
class Attribute:
    """A private attribute of Keras' objects. owner: who has it. why: what has no public name."""

    owner: str
    why: str
    since: str


ATTRIBUTES: dict[str, Attribute] = {
    "_keras_history": Attribute("KerasTensor", "the operation and node that made a tensor", "3.0"),
    "_inbound_nodes": Attribute("Operation", "the calls of a layer; a copy starts with none", "3.0"),
    "_outbound_nodes": Attribute("Operation", "the calls that read a layer; a copy starts with none", "3.0"),
    "_flatten_layers": Attribute("Layer", "a layer with all layers inside it", "3.0"),
    "_trainable_variables": Attribute("Layer", "a layer's own variables without those of layers inside it", "3.0"),
    "_call_signature": Attribute("Layer", "the parameters of a layer's own call", "3.0"),
    "_call_context_args": Attribute("Layer", "the parameters of a call that come from around it", "3.10"),
    "_build_shapes_dict": Attribute("Layer", "the shapes that a layer was built for", "3.0"),
    "_functional": Attribute("Sequential", "the graph that a Sequential holds", "3.0"),
    "_nodes_by_depth": Attribute("Function", "the calls of a model in the order in which they run", "3.0"),
    "_run_through_graph": Attribute("Function", "a model run with operations exchanged", "3.0"),
    "_inputs_struct": Attribute("Function", "a model's inputs in the structure that it takes", "3.0"),
    "_outputs_struct": Attribute("Function", "a model's outputs in the structure that it gives", "3.0"),
    "_output_shape": Attribute("Lambda", "the shape that a Lambda was told", "3.0"),
    "_query_dense": Attribute("MultiHeadAttention", "the size of its projections, for its multiply-accumulates", "3.0"),
    "_key_dense": Attribute("MultiHeadAttention", "the same of the keys", "3.0"),
    "_value_dense": Attribute("MultiHeadAttention", "the same of the values", "3.0"),
    "_output_dense": Attribute("MultiHeadAttention", "the same of the output", "3.0"),
}


def has_attribute(name: str) -> bool:
    """Whether the Keras that is here still has a listed attribute, on a small model.

    Raises KeyError for a name that isn't listed.
    """
    owner = ATTRIBUTES[name].owner
    inputs = keras.Input((4, 8))
    attention = keras.layers.MultiHeadAttention(1, 2)
    made = attention(inputs, inputs)
    sequential = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    things: dict[str, object] = {
        "KerasTensor": made,
        "Operation": attention,
        "Layer": attention,
        "Sequential": sequential,
        "Function": keras.Model(inputs, made),
        "Lambda": keras.layers.Lambda(lambda x: x),
        "MultiHeadAttention": attention,
    }
    return hasattr(things[owner], name)
