"""What a step or an edit says of a model: a record of which only what was said is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from edgecut.records.deprecated import old_word
from edgecut.records.document import Record

Shape: TypeAlias = tuple[int | None, ...]


class Facts(Record):
    """A record whose JSON has the keys that were set, in the order of its fields, and no others.

    It is true if anything was set, and equal to a mapping that has the same JSON. Until it was a record it was a
    mapping, which `facts["key"]` and `dict(facts)` still take it for.
    """

    @model_serializer(mode="wrap")
    def _only_what_was_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}

    def __bool__(self) -> bool:
        return bool(self.model_fields_set)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Facts):
            return self.to_dict() == other.to_dict()
        return self.to_dict() == other if isinstance(other, Mapping) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self.model_fields_set))

    def __getitem__(self, key: str) -> object:
        old_word(f"{type(self).__name__}[{key!r}]", f"{type(self).__name__}.{key}")
        return self._value(key)

    def __contains__(self, key: object) -> bool:
        return key in self.model_fields_set

    def get(self, key: str, default: object = None) -> object:
        """The value of a key, or `default` where it wasn't set: what a mapping has."""
        old_word(f"{type(self).__name__}.get({key!r})", f"{type(self).__name__}.{key}")
        return self._value(key) if key in self else default

    def keys(self) -> Iterator[str]:
        """The keys that were set, in order."""
        return iter(self.to_dict())

    def _value(self, key: str) -> object:
        if key not in self:
            raise KeyError(key)
        value = getattr(self, key)
        return value if isinstance(value, Facts) else self.to_dict()[key]


class TrainingFacts(Facts):
    """What one training of [compress] came to.

    zeros: the fraction of zero weights behind pruning. values: the most values that a kernel has behind clustering.
    inputs, sqnr, ..._agreement: of the quantization-aware model against the float one, before it is trained.
    left_out: layers that weren't taken.
    """

    zeros: float | None = None
    values: int | None = None
    inputs: int | None = None
    sqnr: float | None = None
    top1_agreement: float | None = None
    tag_agreement: float | None = None
    pixel_agreement: float | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    held_out_accuracy: float | None = None
    left_out: int | None = None


class StepFacts(Facts):
    """What is known before or after a step: `before` and `after` of report.json.

    inputs, outputs: shapes with the batch axis, by name where the step knows names. params, weights_dropped: numbers
    of weights. operators, macs: of one inference; macs is None where an operator isn't modelled. cures: int8's
    corrections. train, val: images. measurements: rows. float_...: the float model's score, None without labels.
    prune, cluster, qat: trainings. A key that is no field is a model file's name, with its size in bytes ("export") or
    the layer at which it collapses ("explain").
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int | str] = Field(init=False)

    inputs: dict[str, Shape] | tuple[Shape, ...] | None = None
    outputs: dict[str, Shape] | tuple[Shape, ...] | None = None
    params: int | None = None
    weights_dropped: int | None = None
    macs: int | None = None
    operators: int | None = None
    size_bytes: int | None = None
    cures: tuple[str, ...] | None = None
    train: int | None = None
    val: int | None = None
    measurements: int | None = None
    float_accuracy: float | None = None
    float_auc: float | None = None
    float_map: float | None = None
    float_tag_accuracy: float | None = None
    float_r2: float | None = None
    float_mae: float | None = None
    float_rmse: float | None = None
    prune: TrainingFacts | None = None
    cluster: TrainingFacts | None = None
    qat: TrainingFacts | None = None

    @property
    def files(self) -> Mapping[str, int | str]:
        """{file name: its size in bytes, or the layer at which it collapses}."""
        return self.__pydantic_extra__


class ModelFacts(StepFacts):
    """A model's named inputs and outputs, and its number of weights."""

    inputs: dict[str, Shape]
    outputs: dict[str, Shape]
    params: int


class Sides(Facts):
    """A count before and after an edit; None: not known."""

    before: int | None
    after: int | None


class Cost(Facts):
    """What an edit costs one inference.

    macs: multiply-accumulates, None where an operator isn't modelled. operators: calls of layers and operators, without
    those that do nothing in inference.
    """

    macs: Sides
    operators: Sides
