"""A comparison for the terminal, and as Markdown for a pull request."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Protocol

from rich.console import RenderableType

from edgecut.records.comparison import Change, Comparison, OutputChange
from edgecut.render.grid import Fitted, fitted
from edgecut.render.lines import line, notes
from edgecut.render.templating import markdown
from edgecut.render.words import NOTHING, value_words


class Paired(Protocol):
    """Two files' times in turn, as bench/interleaved.py measures them."""

    @property
    def first(self) -> tuple[float, ...]:
        """A's median of each round, in seconds."""

    @property
    def second(self) -> tuple[float, ...]:
        """B's."""

    @property
    def value(self) -> float:
        """B over A."""

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval."""

    @property
    def high(self) -> float:
        """The upper end."""

    @property
    def differs(self) -> bool:
        """Whether the interval leaves 1 out."""


def comparison_tables(comparison: Comparison, *, quiet: bool = False) -> list[RenderableType]:
    """The comparison as tables; quiet: without notes."""
    parts: list[RenderableType] = [line(headline(comparison))]
    changes, *others = _tables(comparison)
    parts += ["", changes] if changes.rows else []
    for output in comparison.outputs:
        parts += ["", line(_output(output))]
    for table in others:
        parts += ["", table] if table.rows else []
    return [*parts, *([] if quiet else notes(comparison.notes))]


def ratio_table(ratios: Mapping[str, Paired], a: str, b: str, where: str) -> list[RenderableType]:
    """By what factor B takes longer than A: one row for each metric, and the first one in words."""
    rows = []
    for metric, ratio in ratios.items():
        first, second = (value_words(statistics.median(times), "s") for times in (ratio.first, ratio.second))
        rows.append((metric, first, second, f"{ratio.value:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}"))
    table = fitted(("<metric", "A", "B", "B / A", "<95 % interval"), rows)
    metric, ratio = next(iter(ratios.items()))
    change = f"B's {metric} is {abs(ratio.value - 1):.1%} {'more' if ratio.value > 1 else 'less'} than A's"
    found = change if ratio.differs else f"no difference in {metric} beyond the noise"
    return [f"A {a}", f"B {b}", table, line(f"{found}: {len(ratio.first)} rounds in turn, {where}")]


def comparison_markdown(comparison: Comparison) -> str:
    """The comparison as Markdown."""
    tables = [(table.headings(), table.rows) for table in _tables(comparison)]
    text = markdown(
        "comparison",
        headline=headline(comparison),
        tables=tables,
        notes=comparison.notes,
        outputs=[_output(row) for row in comparison.outputs],
    )
    return text.rstrip() + "\n"


def change_rows(changes: Sequence[Change]) -> list[tuple[str, ...]]:
    """(metric, file, A, B, change, how sure) of each change, in words."""
    return [(row.metric, row.file, *_figures(row), _sure(row)) for row in changes]


def headline(comparison: Comparison) -> str:
    """In one line, whether the two are equal."""
    found = "equal" if comparison.equal else "different"
    return f"A {comparison.a}, B {comparison.b}: {found}"


def _tables(comparison: Comparison) -> tuple[Fitted, Fitted, Fitted]:
    """The figures that changed, what else differs, and the verdicts on limits."""
    differences = [(d.what, d.name, d.a or NOTHING, d.b or NOTHING) for d in comparison.differences]
    verdicts = [(v.limit, v.file, v.state, v.found) for v in comparison.verdicts]
    return (
        fitted(
            ("<metric", "<file", "A", "B", "change", "~how sure"),
            change_rows(comparison.changes),
            ("how sure", *(["file"] if len({row.file for row in comparison.changes}) == 1 else []), "A", "B", "change"),
        ),
        fitted(("<what", "<name", "~A", "~B"), differences, ("A", "B")),
        fitted(("<limit", "<file", "<state", "~found"), verdicts, ("found", "state")),
    )


def _figures(row: Change) -> tuple[str, str, str]:
    if row.unit == "of A":
        return "", "", "none"
    a, b = (NOTHING if x is None else value_words(x, row.unit) for x in (row.a, row.b))
    if row.change is None:
        return a, b, NOTHING
    if row.unit == "fraction":
        return a, b, f"{row.change * 100:+.2f} pp"
    return a, b, f"{row.change:+.2%}" if row.change else "none"


def _sure(row: Change) -> str:
    if row.low is not None and row.high is not None:
        said = "" if row.real else "; noise"
        return f"95 %: {row.low:+.1%} to {row.high:+.1%}{said}"
    if row.p is not None:
        return f"p = {row.p:.2g} (McNemar)" + ("" if row.real else "; noise")
    return row.reason


def _output(row: OutputChange) -> str:
    differ = f"differ by up to {row.max_abs_error:.3g}" if row.max_abs_error else "are equal"
    text = f"{row.file}: outputs on {row.inputs} inputs ({row.of}) {differ}"
    if row.top1_changes is not None:
        text += f"; {row.top1_changes} are decided otherwise"
    if row.histogram:
        text += "; steps: " + ", ".join(f"{steps}: {count}" for steps, count in row.histogram.items())
    return text
