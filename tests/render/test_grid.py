"""Laws of the table that every command prints."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from edgecut.render.grid import fitted, remarked_words
from tests.render.command_tables import shown

NAMES = st.text("ab_/-é層", min_size=1, max_size=50)
WORDS = st.lists(st.text("abc±", min_size=1, max_size=12), max_size=12).map(" ".join)
NUMBERS = st.floats(0, 1000).map(lambda x: f"{x:.3g}") | st.just("–")
ROWS = st.lists(st.tuples(NAMES, NAMES, NUMBERS, WORDS), min_size=1, max_size=5)
COLUMNS = ("<name", "<of", "value", "~why")


@given(ROWS, st.integers(10, 160))
def test_a_name_is_whole_and_its_row_is_there_at_every_width(rows: list[tuple[str, ...]], width: int) -> None:
    """Whatever the width, each row's name stands whole at a line's beginning, in the rows' order."""
    lines = shown(fitted(COLUMNS, rows), width=width).splitlines()
    names = [line.split()[0] for line in lines[2:] if line and not line.startswith(" ")]
    assert names[: len(rows)] == [row[0] for row in rows]


@given(ROWS)
def test_a_pipe_has_each_row_as_one_line_with_all_of_its_words(rows: list[tuple[str, ...]]) -> None:
    """Nothing is left out, broken or cut in a pipe, and no line ends in a blank."""
    lines = shown(fitted(COLUMNS, rows), width=None).splitlines()
    assert [line.split() for line in lines[2:]] == [" ".join(row).split() for row in rows]
    assert [line for line in lines if line != line.rstrip()] == []


@given(ROWS, st.integers(10, 160))
def test_a_line_is_wider_than_the_terminal_only_for_a_name_or_a_word(rows: list[tuple[str, ...]], width: int) -> None:
    """Columns are left out before a line is too long; a name, or the note's longest word, may be longer alone."""
    longest = max(cell_len(word) for row in [*rows, ("--json", "terminal")] for word in (row[0], COLUMNS[0][1:]))
    for line in shown(fitted(COLUMNS, rows), width=width).splitlines():
        assert cell_len(line) <= max(width, longest, 10)


def test_figures_end_in_one_place_whatever_is_said_behind_them() -> None:
    figures = ("231 ms", "1.2 s", "≥ 5 KiB", "–", "none", "45 ms")
    behind = (" e ±28 %", " m", " m", "", "", "")
    cells = remarked_words([f"{figure}{rest}" for figure, rest in zip(figures, behind, strict=True)])
    assert cells == [f"{figure}{rest:8}" for figure, rest in zip(figures, behind, strict=True)]
