"""What precision "auto" tried, as a table for the terminal and rows for the page."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from edgecut.records.explanation import Explanation
from edgecut.records.trial import Trial
from edgecut.render.explained import headline, verdicts
from edgecut.render.grid import Cell, fitted, remarked
from edgecut.render.lines import line
from edgecut.render.words import NOTHING

LEGEND = (
    "drop ± its standard error, on images that don't judge; gained: less drop than "
    "the best before. vary: what varies from image to image over the error, dB, by "
    "which a trial is kept: later ones build on it; chosen: the bundle's file."
)
HEADINGS = ("tried", "accuracy", "drop", "agree", "vary dB", "gained", "")


def quantization_parts(trials: Sequence[Trial], explanations: Sequence[Explanation]) -> list[RenderableType]:
    """What a report shows of its quantized files: what was tried, and what is suspected; nothing for none."""
    parts: list[RenderableType] = [trial_table(trials)] if trials else []
    told = [found for found in explanations if found.collapses_at or found.suspicions]
    if told:
        parts.append(Group(*(part for found in told for part in (line(headline(found)), *_suspected(found)))))
    return parts


def _suspected(found: Explanation) -> list[Text]:
    return [line(f"  {sentence}", "dim") for sentence in verdicts(found)]


def trial_table(trials: Sequence[Trial]) -> Group:
    """One row for each set of cures, in the order tried; a set is shown by what it adds."""
    found = trial_rows(trials)
    drops = remarked(
        [(drop, f"± {error}" if error else "") for drop, _, error in (r[2].partition(" ± ") for r in found)]
    )
    rows: list[Sequence[Cell]] = [
        (*row[:2], drop, *row[3:-1], Text(row[-1], {"chosen": "green", "kept": ""}.get(row[-1], "dim")))
        for row, drop in zip(found, drops, strict=True)
    ]
    columns = ("~tried", "accuracy", "drop", "agree", "vary dB", "gained", "<state")
    table = fitted(columns, rows, ("agree", "gained", "vary dB", "accuracy", "drop"))
    return Group(table, line(LEGEND, "dim"))


def trial_rows(trials: Sequence[Trial]) -> list[tuple[str, ...]]:
    """The cells of HEADINGS for each trial."""
    rows: list[tuple[str, ...]] = []
    kept: tuple[str, ...] = ()
    for trial in trials:
        added = [cure for cure in trial.cures if cure not in kept]
        state = "chosen" if trial.chosen else "kept" if trial.kept else "not kept"
        rows.append(
            (
                f"+ {', '.join(added)}" if added else "the converter's own",
                _fraction(trial.accuracy),
                _drop(trial),
                _fraction(trial.agreement),
                NOTHING if trial.sqnr_varying is None else f"{trial.sqnr_varying:.1f}",
                NOTHING if trial.gained is None else f"{trial.gained:+.3f}",
                state,
            )
        )
        kept = trial.cures if trial.kept else kept
    return rows


def _fraction(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _drop(trial: Trial) -> str:
    if trial.drop is None:
        return NOTHING
    return f"{trial.drop:.3f}" if trial.drop_error is None else f"{trial.drop:.3f} ± {trial.drop_error:.3f}"
