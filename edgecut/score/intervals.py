"""How far a figure from a sample may be from the truth, and whether two figures differ by more than chance."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

_RESAMPLES = 100
# The normal distribution's two-sided 95 % point.
_Z95 = 1.959963984540054


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a fraction, hits of trials (Wilson 1927, equation for the score interval).

    (0, 1) without trials.
    """
    if trials == 0:
        return 0.0, 1.0
    share, spread = hits / trials, _Z95**2 / trials
    middle = share + spread / 2
    half = _Z95 * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    # The ends are exact at 0 and 1, where the formula leaves a rounding error.
    low = 0.0 if hits == 0 else (middle - half) / (1 + spread)
    return low, 1.0 if hits == trials else (middle + half) / (1 + spread)


def paired_interval(differences: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the mean of paired differences (n,) of hits, each -1, 0 or 1.

    As of two images more, of which one is lost and one gained, so that it has a width where none differs (Bonett and
    Price, Adjusted Wald Confidence Interval for a Difference of Binomial Proportions Based on Paired Data, Journal of
    Educational and Behavioral Statistics 37, 2012).
    """
    more = np.append(np.asarray(differences, np.float64), (1.0, -1.0))
    middle, half = float(more.mean()), _Z95 * paired_error(more)
    return max(-1.0, middle - half), min(1.0, middle + half)


def unseen(trials: int) -> float:
    """The largest part of all that is, with 95 %, not seen in so many trials: 3 / trials of many ("rule of three")."""
    return float(1 - 0.05 ** (1 / max(1, trials)))


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided probability that two classifiers of equal quality differ so much: McNemar's exact test.

    only_first, only_second: images that one of the two alone has right. 1 where there are none.
    """
    n, fewer = only_first + only_second, min(only_first, only_second)
    if n == 0:
        return 1.0
    # In logarithms, since a binomial coefficient of 10,000 images is beyond a float.
    logs = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2) for k in range(fewer + 1)
    ]
    return min(1.0, 2 * math.fsum(math.exp(value) for value in logs))


def fraction_error(share: float, trials: int) -> float:
    """The standard error of a fraction of so many trials: the root of share (1 - share) / trials (binomial)."""
    return math.sqrt(max(0.0, share * (1 - share)) / max(1, trials))


def paired_error(differences: np.ndarray, judged_on: int = 0) -> float:
    """The standard error of the mean of paired differences (n,), one for each image.

    judged_on: with the error of another sample of so many images, which the mean is to foretell; 0: of the whole truth.
    """
    deviation = float(np.asarray(differences, np.float64).std())
    return deviation * math.sqrt(1 / len(differences) + (1 / judged_on if judged_on else 0.0))


def resampled_error(figure: Callable[[np.ndarray], float], count: int, judged_on: int = 0) -> float:
    """The standard error of any figure of `count` images: its deviation over 100 seeded resamples.

    figure: of the images at these positions. judged_on: as in paired_error. Efron and Tibshirani, An Introduction to
    the Bootstrap, 1993, chapter 6.
    """
    random = np.random.default_rng(0)
    rows = (random.integers(0, count, count) for _ in range(_RESAMPLES))
    deviation = float(np.std([figure(chosen) for chosen in rows]))
    return deviation * math.sqrt(1 + (count / judged_on if judged_on else 0.0))
