"""What published times of boards say of their predicted ones, with every family of nets left out in turn.

    python -m tools.check_boards [--strict] [--nets] [--memory] [PLACE ...]
    python -m tools.check_boards --rows OTHER.csv

For each board and runtime: nets, families and rows; the error (measured / predicted - 1) of rows whose whole family the
board's prices have not seen: median and 90th percentile; the share of these rows inside the band that is stated without
that family; and the band that the shipped profile states. --strict: the family is left out on the boards as well whose
prices are the prior; by default it is left out on the board itself. --nets: a line for each net. Then the memory of
ST's runtime, as tools/boards/memory.py judges it; --memory: that alone. Exit code 1: a bar is missed.

--rows: rows of the columns of tools/facts/boards.csv, of other boards, nets or versions, against the shipped profiles
as they are: what a user would have been told. A net that isn't among tools/boards/data is built with TensorFlow. Exit
code 2: the file can't be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from edgecut.bench.priced import widened
from edgecut.calibrate.band import LeftOut, bands, covered, left_out, unlike
from edgecut.calibrate.measured import Measured, Prior, fitted
from edgecut.errors import RequestError
from edgecut.tflite.flatbuffer import TfliteGraph
from tools.board_places import Place, measured, prior_of
from tools.board_report import report
from tools.board_rows import board_rows
from tools.board_rows import judged as judged_row
from tools.boards.graphs import DATA, NETS, nets
from tools.boards.memory import memory_failures, memory_report
from tools.profile_toml import read_rows as read_table

# What is asked: over int8 rows of places with so many families, and of all bands.
FAMILIES, MEDIAN_MOST, WITHIN, WITHIN_LEAST, HOLDS, HOLDS_OFF = 5, 0.12, 0.25, 0.85, 0.90, 0.03
FEWEST = 3
UNLIKE = (
    0.1  # the share of a time in kinds of work unseen, or a factor e beyond the range, from which a row is another's
)


@dataclass(frozen=True)
class Judged:
    """A row that was left out, and the band stated without its family."""

    row: LeftOut
    band: float

    @property
    def holds(self) -> bool:
        """Whether the band does."""
        return abs(self.row.error) <= self.band


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables, and exits 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="*")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--nets", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--rows", type=Path)
    options = parser.parse_args(arguments)
    if options.rows:
        check_rows(options.rows)
        return
    table = read_table(DATA / "measurements.csv")
    failures = [] if options.memory else times(table, options)
    if options.memory or not options.places:
        print("\n".join(memory_report(table)))
        failures += memory_failures(table)
    print("\n".join(failures) or "all as asked")
    raise SystemExit(1 if failures else 0)


def times(table: Sequence[dict[str, str]], options: argparse.Namespace) -> list[str]:
    """Prints a line for each place; the bars that its times miss."""
    found = {place: own.rows for place, own in measured(table).items()}
    rows: dict[Place, list[Judged]] = {}
    print(f"{'board and runtime':42s} nets fam. rows  median    p90 inside  stated")
    for place in sorted(found, key=lambda place: (place.profile == "", place.name)):
        if options.places and not any(text.lower() in place.name.lower() for text in options.places):
            continue
        rows[place] = judged(place, found, strict=options.strict)
        print(line(found[place], rows[place], bands(left_out(found[place], prior_of(place, found)))[1], place.name))
        if options.nets:
            print("\n".join(net_lines(rows[place])))
    return list(overall(found, rows))


def check_rows(path: Path) -> None:
    """Prints how rows that nothing is fitted to are met by the shipped profiles; exits 2 if they can't be read."""
    try:
        rows = board_rows(path)
    except RequestError as exc:
        print(exc, file=sys.stderr)
        raise SystemExit(2) from exc
    print("\n".join(report([judged_row(*row, graph_of) for row in rows])))


@cache
def graph_of(key: str) -> TfliteGraph:
    """The graph of a net: of the data file, else built. Raises ValueError for one that can't be built."""
    if key in nets():
        return nets()[key]
    from tools.boards.lowered import lowered

    print(f"{key}: not in {NETS.name}, built with TensorFlow", flush=True)
    return lowered(key)


def judged(place: Place, found: Mapping[Place, Sequence[Measured]], *, strict: bool) -> list[Judged]:
    """Every row of a place, its time and its band from the place's other families; none of fewer than two."""
    rows, result = found[place], []
    usual = prior_of(place, found)
    for family in sorted({row.family for row in rows}):
        others = [row for row in rows if row.family != family]
        if others:
            prior = prior_of(place, found, family) if strict else usual
            result += left_out_of(family, rows, others, prior)
    return result


def left_out_of(family: str, rows: Sequence[Measured], others: Sequence[Measured], prior: Prior) -> list[Judged]:
    """The rows of a family, by prices and a band that have seen the others alone."""
    prices = fitted(others, prior)
    known, band = covered(others, prices), bands(left_out(others, prior))[1]
    found = [unlike(row, prices, known) for row in rows if row.family == family]
    return [Judged(row, widened(band, row.unseen, row.outside)) for row in found]


def line(rows: Sequence[Measured], own: Sequence[Judged], stated: float, name: str) -> str:
    """A place's line."""
    families = len({row.family for row in rows})
    head = f"{name:42s} {len({row.net for row in rows}):4d} {families:4d} {len(rows):4d}"
    few = "  fewer than three families: the band is what other boards give" if families < FEWEST else ""
    if not own:
        return f"{head} {'-':>7s} {'-':>6s} {'-':>6s}  ±{stated:.0%}{few}"
    errors = np.abs([row.row.error for row in own])
    held = np.mean([row.holds for row in own])
    return f"{head} {np.median(errors):7.1%} {np.quantile(errors, 0.9):6.1%} {held:6.0%}  ±{stated:.0%}{few}"


def net_lines(own: Sequence[Judged]) -> list[str]:
    """A line for each row: what it took, what was predicted, its band, and how unlike the others it is."""
    return [
        f"    {row.row.row.net:46s} {row.row.row.version:16s} {row.row.row.seconds * 1e3:9.2f} ms "
        f"{row.row.predicted_s * 1e3:9.2f} ms {row.row.error:+6.1%} {'holds' if row.holds else 'fails'} ±{row.band:.0%}"
        f" unseen {row.row.unseen:.2f} outside {row.row.outside:.2f}"
        for row in own
    ]


def overall(found: Mapping[Place, Sequence[Measured]], rows: Mapping[Place, Sequence[Judged]]) -> list[str]:
    """The bars that all together miss, after the lines that say how far they are met."""
    several = {place for place in rows if len({row.family for row in found[place]}) >= FEWEST}
    many = {
        place for place in rows if len({row.family for row in found[place]}) >= FAMILIES and place.precision == "int8"
    }
    errors = np.abs([row.row.error for place in many for row in rows[place]])
    own = [row for place in several for row in rows[place]]
    shipped = [row for place in several if place.profile for row in rows[place]]
    others = [row for row in own if row.row.unseen >= UNLIKE or row.row.outside >= 1]
    failures = []
    if len(errors):
        median, within = float(np.median(errors)), float(np.mean(errors <= WITHIN))
        where = f"{len(errors)} int8 rows of {len(many)} places with {FAMILIES} families or more"
        print(f"{where}: median error {median:.1%}, {within:.0%} within {WITHIN:.0%}")
        failures += [f"the median error is {median:.1%}, asked is {MEDIAN_MOST:.0%}"] * (median > MEDIAN_MOST)
        failures += [f"{within:.0%} are within {WITHIN:.0%}, asked is {WITHIN_LEAST:.0%}"] * (within < WITHIN_LEAST)
    for name, part in (("profiles' places", shipped), ("all places", own), ("rows unlike the measured ones", others)):
        if part:
            held = float(np.mean([row.holds for row in part]))
            print(f"{name}, of {FEWEST} families or more: the band holds for {held:.1%} of {len(part)} rows")
            failures += [f"{name}: the band holds for {held:.1%}, asked is {HOLDS:.0%} ± {HOLDS_OFF:.0%}"] * (
                abs(held - HOLDS) > HOLDS_OFF and part is not others
            )
    return failures


if __name__ == "__main__":
    main()
