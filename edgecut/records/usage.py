"""Where a file's memory and time go: its tensors over the run, and what each operator costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pydantic import Field

from edgecut.records.document import Record


class TensorLife(Record):
    """A tensor in the arena, alive from operator `first` to `last`, both included, at `offset` for `size_bytes`.

    name: the source model's layer where the file's name tells it. first is -1 for an input, last the number of
    operators for an output.
    """

    name: str
    first: int
    last: int
    offset: int
    size_bytes: int


class OperatorCost(Record):
    """One operator. macs: None where it isn't modelled. seconds: by profile, as its facts estimate or simulate them."""

    operator: str
    layer: str
    macs: int | None
    seconds: dict[str, float] = Field(default_factory=dict)


class PlainCUse(Record):
    """The work buffer of a file's plain C. stretches: the operators of each that run interleaved, row by row.

    operators: how many there are in each stretch. rooms: of a tensor in a stretch, which `first` and `last` both
    number; size_bytes are of the rows there is room for.
    """

    arena_bytes: int
    stretches: tuple[str, ...]
    operators: tuple[int, ...]
    rooms: tuple[TensorLife, ...]


class FileUse(Record):
    """A .tflite file's memory and time. plain_c: None where the file can't be C.

    peak_operator: the first operator during which the most is alive. planned_bytes: the arena's head, as the greedy
    planner lays the tensors out.
    """

    artifact: str
    peak_operator: int
    planned_bytes: int
    tensors: tuple[TensorLife, ...]
    operators: tuple[OperatorCost, ...]
    plain_c: PlainCUse | None = None


@dataclass(frozen=True)
class OperatorTime:
    """One operator's median time. seconds: None where it couldn't be timed, and `reason` says why.

    share, cumulative: fractions of the sum of all times, in execution order; None without a time.
    """

    index: int
    operator: str
    layer: str
    seconds: float | None
    share: float | None = None
    cumulative: float | None = None
    reason: str = ""


class OperatorTimes(NamedTuple):
    """The times of a file's operators, and how they were taken; without any, why there are none."""

    rows: tuple[OperatorTime, ...]
    method: str
    reason: str = ""

    @property
    def seconds(self) -> float | None:
        """The sum of those that have a time; None without any."""
        known = [row.seconds for row in self.rows if row.seconds is not None]
        return sum(known) if known else None


class FileTimes(NamedTuple):
    """The same in two ways: as the runtime tells them of the whole file, and of each operator as a file of its own.

    file_s: what the whole file takes there; None where it wasn't run.
    """

    in_graph: OperatorTimes
    one_by_one: OperatorTimes
    file_s: float | None = None


NO_TIMES = FileTimes(OperatorTimes((), ""), OperatorTimes((), ""))
