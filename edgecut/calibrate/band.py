"""The band that a device's prices earn: what leaving out whole families of nets gives."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from edgecut.bench.priced import LEAST_FAMILIES, beyond, unseen_share, widening
from edgecut.bench.work import KINDS
from edgecut.calibrate.measured import Fitted, Measured, Prior, fitted

# What families are off by where nothing else is known, as a logarithm, and how many families that counts as: over the
# boards of tools/boards, of nets that are like the measured ones.
USUAL, USUAL_FAMILIES = 0.2, 4
# Few families are off by much, and they make the spread: of all rows left out on these boards, and of their bands made
# without them, nine tenths stay within this part of it (tools/check_boards.py).
PART = 0.65
# Most nets are unlike those of one family or two, in more than the kinds of work tell.
FEW = 1.5


@dataclass(frozen=True)
class Range:
    """What the measured nets of a place cover: the largest share of their times in each kind, and the times."""

    seen: dict[str, float]
    least_s: float
    most_s: float


@dataclass(frozen=True)
class LeftOut:
    """A row, and what the prices say of it that have seen no net of its family at its place.

    unseen, outside: how unlike it is to what they have seen (bench/priced.py).
    """

    row: Measured
    predicted_s: float
    unseen: float
    outside: float

    @property
    def error(self) -> float:
        """measured / predicted - 1."""
        return self.row.seconds / self.predicted_s - 1


def covered(rows: Sequence[Measured], prices: Fitted) -> Range:
    """What the rows of one place cover at the prices of that place."""
    spent = [_spent(row, prices) for row in rows]
    shares = [{kind: value / sum(row.values()) for kind, value in row.items()} for row in spent]
    times = [sum(row.values()) for row in spent]
    return Range({kind: max(share[kind] for share in shares) for kind in KINDS}, min(times), max(times))


def left_out(rows: Sequence[Measured], prior: Prior) -> tuple[LeftOut, ...]:
    """Every row of one place, predicted from the other families there; none if there is but one."""
    found: list[LeftOut] = []
    for family in sorted({row.family for row in rows}):
        others = [row for row in rows if row.family != family]
        if others:
            prices = fitted(others, prior)
            known = covered(others, prices)
            found += [unlike(row, prices, known) for row in rows if row.family == family]
    return tuple(found)


def unlike(row: Measured, prices: Fitted, known: Range) -> LeftOut:
    """A row at the place of other rows that were fitted, and how unlike them it is."""
    spent = _spent(row, prices)
    outside = beyond(sum(spent.values()), known.least_s, known.most_s)
    return LeftOut(row, prices.seconds(row), unseen_share(spent, known.seen), outside)


def bands(rows: Sequence[LeftOut]) -> tuple[float, float]:
    """The relative errors that half and nine tenths of nets like the measured ones stay within.

    Each family counts once: its rows differ by what sets families apart. Of few families the spread is mostly what is
    usual, and less sure, which Student's distribution widens, and below three families wide.
    """
    families: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        off = math.log1p(row.error) / widening(row.unseen, row.outside)
        families[row.row.family].append(off**2)
    freedom = USUAL_FAMILIES + len(families)
    total = USUAL_FAMILIES * USUAL**2 + sum(float(np.mean(off)) for off in families.values())
    spread = math.sqrt(total / freedom) * (1 if len(families) >= LEAST_FAMILIES else FEW)
    half, most = (float(stdtrit(freedom, 0.5 + share / 2)) for share in (0.5, 0.9))
    return math.expm1(PART * spread * half), math.expm1(PART * spread * most)


def own_errors(rows: Sequence[Measured], prices: Fitted) -> tuple[float, float]:
    """The relative errors that half and nine tenths of the rows stay within at prices that were fitted to them.

    No band is narrower: of nets that the fit hasn't seen nothing better is known than of those that it has.
    """
    off = [abs(row.seconds / prices.seconds(row) - 1) for row in rows]
    half, most = (float(np.quantile(off, share, method="inverted_cdf")) for share in (0.5, 0.9))
    return half, most


def _spent(row: Measured, prices: Fitted) -> dict[str, float]:
    return {k: a * p for k, a, p in zip(KINDS, row.amounts, prices.at(row.place), strict=True)}
