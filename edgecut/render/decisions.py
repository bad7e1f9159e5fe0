"""How each file decides, in words: the threshold, the rule that chose it, and how right it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rich.console import Group

from edgecut.records.operating import DEFAULT, GIVEN, Decision, OperatingPoint
from edgecut.render.grid import fitted
from edgecut.render.lines import line
from edgecut.render.words import NOTHING

COLUMNS = ("file", "says", "threshold", "code", "precision", "recall", "false positives")
"""Of a row for each threshold; all but the first two are numbers."""
_SHOWN = 12  # rows at the terminal


def decision_table(decisions: Iterable[Decision], labels: Mapping[str, str]) -> Group:
    """A row for each threshold, and underneath how they were chosen. labels: what a file is called."""
    told = tuple(decisions)
    rows = [row for decision in told for row in decision_rows(decision, labels)]
    headings = ("<file", "<says", *COLUMNS[2:])
    more = f"and {len(rows) - _SHOWN} more thresholds, which report.json has" if len(rows) > _SHOWN else ""
    lines = [*rule_lines(told), more]
    table = fitted(headings, rows[:_SHOWN], ("code", "precision", "false positives", "recall"))
    return Group(table, *(line(each, "dim") for each in lines if each))


def decision_rows(decision: Decision, labels: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """The values of COLUMNS for each threshold of a file's output."""
    for place, point in enumerate(decision.points):
        yield (
            labels.get(decision.artifact, decision.artifact),
            point.label or f"{decision.output}[{decision.column if decision.column is not None else place}]",
            f"{point.threshold:.4g}",
            NOTHING if point.code is None else f"q >= {point.code}",
            *(NOTHING if share is None else f"{share:.3f}" for share in (point.precision, point.recall, point.fpr)),
        )


def rule_lines(decisions: Iterable[Decision]) -> list[str]:
    """How the thresholds were chosen, and on how many samples they were measured; each thing once."""
    said = [f"threshold: {rule_words(decision)}{_measured_on(decision)}." for decision in decisions]
    return list(dict.fromkeys(said))


def rule_words(decision: Decision) -> str:
    """The rule that chose a threshold, and on how many samples."""
    if decision.rule == DEFAULT:
        return "not chosen, but where likelier than not begins"
    if decision.rule == GIVEN:
        return "given, not chosen"
    word, _, rate = decision.rule.partition("=")
    best = f"the highest recall within a false-positive rate of {rate}" if word == "fpr" else "the best F1"
    return f"chosen for {best} on {decision.chosen_on} held-out samples, by the values that the file puts out"


def decision_sentences(decision: Decision) -> Iterator[str]:
    """A sentence for each threshold of an output: what it decides, and how right that was."""
    for place, point in enumerate(decision.points):
        value = f"value {decision.column if decision.column is not None else place} of {decision.output}"
        single = len(decision.points) == 1 and decision.column is None
        code = "" if point.code is None else f" (q >= {point.code})"
        says = f" is {point.label}" if point.label else " is a yes"
        other = f", else {decision.otherwise}" if decision.otherwise else ""
        figures = "".join(f"; {text}" for text in (point.reason, _figures(decision, point)) if text)
        yield f"{decision.output if single else value} above {point.threshold:.9g}{code}{says}{other}{figures}"


def _measured_on(decision: Decision) -> str:
    if not decision.measured_on:
        return "; nothing was measured at it"
    others = "others, none of which it was chosen on" if decision.chosen_on else "held-out samples"
    return f"; the shares are of {decision.measured_on} {others}"


def _figures(decision: Decision, point: OperatingPoint) -> str:
    rows = (
        ("precision", point.precision, point.precision_interval),
        ("recall", point.recall, point.recall_interval),
        ("false-positive rate", point.fpr, point.fpr_interval),
    )
    shares = [f"{name} {value:.3f} ({ends[0]:.3f} to {ends[1]:.3f})" for name, value, ends in rows if value is not None
              and ends is not None]  # fmt: skip
    if not shares:
        return ""
    others = "other " if decision.chosen_on else ""
    return (
        f"on {decision.measured_on} {others}held-out samples, {point.positives} of which are it: {', '.join(shares)}, "
        "with 95 % intervals"
    )
