"""One step on the terminal: what it made of what, and its proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import RenderableType

from edgecut.records.facts import Shape
from edgecut.records.proof import Proof
from edgecut.records.report import Step
from edgecut.records.units import format_bytes
from edgecut.render.grid import Fitted, fitted
from edgecut.render.words import NOTHING, count_words, shape_words

COUNTS = {"params": "params", "weights_dropped": "dropped", "operators": "operators", "macs": "MACs"}


def step_parts(step: Step) -> list[RenderableType]:
    """A table of before and after, and a sentence on the proof."""
    return [change_table(step), *([proof_sentence(step.proof)] if step.proof else [])]


def change_table(step: Step) -> Fitted:
    """A model's facts before and after a step, one row each."""
    sides = step.before, step.after
    rows = [("inputs", *(_tensors(side.inputs) for side in sides))]
    rows.append(("outputs", *(_tensors(side.outputs) for side in sides)))
    for key, title in COUNTS.items():
        if any(key in side for side in sides):
            rows.append((title, *(_count(getattr(side, key)) for side in sides)))
    if "size_bytes" in step.after:
        rows.append(("size", *(_size(side.size_bytes) for side in sides)))
    return fitted(("<", "~before", "~after"), rows, ("before",))


def proof_sentence(proof: Proof) -> str:
    """What was compared and how near it came."""
    runs = f"{proof.inputs} seeded inputs" + (f" and {proof.images} of yours" if proof.images else "")
    if proof.exact:
        return f"proof: bit-equal to the source on {runs}"
    largest = f"{proof.relative_error or 0:.2g} of its largest value"
    if proof.sqnr is not None:
        return f"proof: {proof.sqnr:.1f} dB SQNR against the source on {runs}, at most {largest} off ({proof.reason})"
    by = largest if proof.max_abs_error is None else f"{proof.max_abs_error:.3g}"
    return f"proof: differs from the source by at most {by} on {runs}, {proof.tolerance:.3g} let pass ({proof.reason})"


def _tensors(named: Mapping[str, Shape] | Sequence[Shape] | None) -> str:
    if not named:
        return NOTHING
    if not isinstance(named, Mapping):
        return ", ".join(shape_words(shape[1:]) for shape in named)
    return ", ".join(f"{name} {shape_words(shape[1:])}" for name, shape in named.items())


def _count(count: int | None) -> str:
    return NOTHING if count is None else count_words(count)


def _size(size_bytes: int | None) -> str:
    return NOTHING if size_bytes is None else format_bytes(size_bytes)
