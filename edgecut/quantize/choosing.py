"""Which of several files of one model is the best, as far as the images that judged them can tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecut.quantize.judges import Score
from edgecut.score.intervals import paired_error

# Nearer to the float model by less than this is no reason to prefer a file.
NEARER_DB = 1.0


def best_of(scores: Sequence[Score], limit: float) -> int:
    """The place of the file to take. scores: on the same images, of files from the simplest on."""
    best = 0
    for place, score in enumerate(scores):
        if place and is_better(score, scores[best], limit):
            best = place
    return best


def is_better(score: Score, simpler: Score, limit: float) -> bool:
    """Whether a file is known to be better than a simpler one, on the same images.

    Never one that loses more. Of the others, one whose drop is within the limit where the simpler one's isn't; and
    one that surely loses less, or is surely nearer to the float model by a decibel or more: by two standard errors of
    the difference on each image.
    """
    if float(np.mean(score.lost - simpler.lost)) > 0 or (score.drop or 0.0) > (simpler.drop or 0.0):
        return False
    if score.is_near(limit) and not simpler.is_near(limit):
        return True
    return _surely_less(score.lost, simpler.lost) or _surely_less(score.noise * 10 ** (NEARER_DB / 10), simpler.noise)


def _surely_less(values: np.ndarray, others: np.ndarray) -> bool:
    difference = values - others
    return float(difference.mean()) + 2 * paired_error(difference) < 0
