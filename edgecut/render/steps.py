"""One step on the terminal: what it made of what, and its proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from edgecut.records.report import Step
from edgecut.records.units import format_bytes
from edgecut.render.grid import grid
from edgecut.render.words import NOTHING, count_words, shape_words

COUNTS = {"params": "params", "weights_dropped": "dropped", "operators": "operators", "macs": "MACs"}


def step_parts(step: Step) -> list[RenderableType]:
    """A table of before and after, and a sentence on the proof."""
    return [change_table(step), *([proof_sentence(step.proof)] if step.proof else [])]


def change_table(step: Step) -> Table:
    """A model's facts before and after a step, one row each."""
    table = grid("<", "~before", "~after")
    for role in ("inputs", "outputs"):
        table.add_row(role, _tensors(step.before.get(role)), _tensors(step.after.get(role)))
    for key, title in COUNTS.items():
        if key in step.before or key in step.after:
            table.add_row(title, _count(step.before, key), _count(step.after, key))
    if "size_bytes" in step.after:
        table.add_row("size", *(_size(facts) for facts in (step.before, step.after)))
    return table


def proof_sentence(proof: Mapping[str, Any]) -> str:
    """What was compared and how near it came."""
    runs = f"{proof['inputs']} seeded inputs"
    if proof["exact"]:
        return f"proof: bit-equal to the source on {runs}"
    return (
        f"proof: differs from the source by at most {proof['max_abs_error']:.3g} on {runs}, "
        f"{proof['tolerance']:.3g} let pass ({proof['reason']})"
    )


def _tensors(named: Mapping[str, Any] | Sequence[Any] | None) -> str:
    if not named:
        return NOTHING
    if not isinstance(named, Mapping):
        return ", ".join(shape_words(tuple(shape)[1:]) for shape in named)
    return ", ".join(f"{name} {shape_words(tuple(shape)[1:])}" for name, shape in named.items())


def _count(facts: Mapping[str, Any], key: str) -> str:
    return count_words(facts[key]) if facts.get(key) is not None else NOTHING


def _size(facts: Mapping[str, Any]) -> str:
    return format_bytes(facts["size_bytes"]) if facts.get("size_bytes") is not None else NOTHING
