"""Types of what Keras passes around, which has no type stubs of its own: what is used of it is named here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import keras

from edgecut.graph.tensor import Tensor

S = TypeVar("S")
"""A structure of tensors, of which a function gives the same with other leaves."""

Structure: TypeAlias = keras.KerasTensor | Sequence["Structure"] | Mapping[str, "Structure"] | None
"""What a call takes or gives: a tensor, or tensors in lists and tables."""

TensorTree: TypeAlias = Tensor | Sequence["TensorTree"] | Mapping[str, "TensorTree"] | None
"""The same of the graph's own tensors."""

TensorFunction: TypeAlias = Callable[..., keras.KerasTensor]
"""A function of Keras tensors that gives one: a layer, a model, or anybody's."""

NamedInputs: TypeAlias = Mapping[str, keras.KerasTensor]
"""What a model's call is given, by argument."""
