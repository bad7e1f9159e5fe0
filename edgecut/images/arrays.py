"""The arrays that feed a model's own inputs, as far as an .npz says by its headers; without numpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecut.images.npz import Header
from edgecut.records.nearest import closest


@dataclass(frozen=True)
class ArrayInput:
    """An input of a model. name: its layer's. shape: without the batch axis, None where open. dtype: as Keras has it.

    >>> ArrayInput("frames", (49, 10), "float32").is_float
    True
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"

    @property
    def is_float(self) -> bool:
        """Whether it takes fractions."""
        return "float" in self.dtype

    def takes(self, shape: Sequence[int]) -> bool:
        """Whether samples (n, ...) of this shape feed it."""
        own = (None, *self.shape)
        return len(own) == len(shape) and all(a in {None, b} for a, b in zip(own, shape, strict=True))


ArrayInputs = tuple[ArrayInput, ...]


def has_part(headers: Mapping[str, Header], part: str) -> bool:
    """Whether there are samples of a part, "train" or "test"."""
    return any(name == f"x_{part}" or name.startswith(f"x_{part}.") for name in headers)


def array_names(headers: Mapping[str, Header], part: str, inputs: ArrayInputs) -> tuple[str, ...]:
    """The array of each input: x_train.NAME, or x_train of a single one."""
    if len(inputs) == 1 and f"x_{part}.{inputs[0].name}" not in headers:
        return (f"x_{part}",)
    return tuple(f"x_{part}.{each.name}" for each in inputs)


def array_faults(
    headers: Mapping[str, Header], part: str, inputs: ArrayInputs, path: Path, where: str
) -> Iterator[str]:
    """What is wrong with the arrays of a part, but for those that are absent, and with those that feed no input."""
    names = array_names(headers, part, inputs)
    for name in headers:
        if (name == f"x_{part}" or name.startswith(f"x_{part}.")) and name not in names:
            own = name.removeprefix(f"x_{part}.")
            shown = ", ".join(repr(each.name) for each in inputs)
            near = closest(own, [each.name for each in inputs])
            yield f"{where}: {path}: {name} feeds no input; the model's are {shown}{near}, each saved as x_{part}.NAME"
    for each, name in zip(inputs, names, strict=True):
        if name in headers:
            yield from _faults(headers[name], each, f"{where}: {path}: {name}")
    counts = {name: headers[name].shape[0] for name in names if name in headers and headers[name].shape}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        yield f"{where}: {path}: the inputs hold different numbers of samples ({shown}); make them equal"


def _faults(header: Header, taken: ArrayInput, start: str) -> Iterator[str]:
    if header.kind == "O":
        yield f"{start} holds Python objects, which are never loaded; save it as one array of {taken.dtype}"
        return
    if header.kind not in "uifb":
        yield f"{start} is of the type {header.dtype!r}; numbers are expected, as the input takes {taken.dtype}"
        return
    if header.kind == "f" and not taken.is_float:
        yield f"{start} is of the type {header.dtype!r}, and the input takes {taken.dtype}; save whole numbers"
    if 0 in header.shape:
        yield f"{start} has the shape {header.shape}, which holds no sample"
    elif not taken.takes(header.shape):
        yield f"{start} has the shape {header.shape}, and {spelled(taken.shape)} is expected{_remedy(header, taken)}"


def spelled(shape: Sequence[int | None]) -> str:
    """A shape of samples, the batch first: (n, 49, 10)."""
    return f"(n, {', '.join('any' if size is None else str(size) for size in shape)})" if shape else "(n,)"


def _remedy(header: Header, taken: ArrayInput) -> str:
    if taken.shape[-1:] == (1,) and ArrayInput("", taken.shape[:-1]).takes(header.shape):
        return "; add the last axis: x[..., None]"
    samples, *sizes = header.shape or (0,)
    if len(sizes) > 1 and taken.takes((samples, *sizes[1:], sizes[0])):
        return "; the channels are its last axis here: np.moveaxis(x, 1, -1)"
    if taken.takes((1, *header.shape)):
        return "; add the axis of the samples: x[None]"
    return ""
