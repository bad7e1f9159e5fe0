"""Prices of a machine out of timed files: a non-negative fit, and its error on files that it hasn't seen."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from edgecut.bench.terms import Tiles, terms
from edgecut.records.profile import Calibrated
from edgecut.records.recipe import Precision
from edgecut.tflite.flatbuffer import TfliteGraph

# Kernels' tiles as XNNPACK has them on x86 and ARM, int8 and float32: rows, columns, channels in one step.
TILES = tuple(
    Tiles(*sizes) for sizes in itertools.product((4, 5, 6, 7, 8, 10, 12, 14, 16), (4, 8, 16, 32), (1, 2, 4, 8))
)
MATRIX = ("CONV_2D", "FULLY_CONNECTED")
CHAIN_WEIGHT = 1.5  # chains are more like what is asked later than single operators are
OUTLIER = 0.15  # relative residual from which a file pulls less
FOLDS = 8
# What one file's time on one machine differs by as other programs use the shared caches: 2 to 14 % were seen over an
# hour on an EPYC with 2 cores. No band is narrower, however well the files fit.
BAND_LEAST, P50_LEAST = 0.10, 0.02


@dataclass(frozen=True)
class Timed:
    """A file and its time. chain: of several operators, so that its error tells of whole networks."""

    name: str
    graph: TfliteGraph
    seconds: float
    chain: bool


def calibrated(files: Sequence[Timed], precision: Precision) -> Calibrated:
    """The prices of one precision, with the errors of files left out in turn.

    Each fold leaves out an eighth of the files; the errors are |measured / predicted - 1| of the chains among them,
    half and nine tenths of which stay within error_p50 and error_p90.
    """
    tiles = found_tiles(files)
    rows = [terms(file.graph, tiles) for file in files]
    names = sorted({name for row in rows for name in row})
    amounts = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    seconds = np.array([file.seconds for file in files])
    chains = np.array([file.chain for file in files])
    prices = fitted(amounts, seconds, np.where(chains, CHAIN_WEIGHT, 1.0))
    errors = _left_out_errors(amounts, seconds, chains)
    judged = errors[chains] if chains.any() else errors
    return Calibrated(
        precision=precision,
        tiles=(tiles.rows, tiles.columns, tiles.depth),
        error_p50=max(P50_LEAST, round(float(np.quantile(judged, 0.5)), 3)),
        error_p90=max(BAND_LEAST, round(float(np.quantile(judged, 0.9)), 3)),
        files=len(files),
        operators=tuple(sorted({operator.name for file in files for operator in file.graph.operators})),
        seconds={name: float(f"{price:.4g}") for name, price in zip(names, prices, strict=True)},
    )


def fitted(amounts: np.ndarray, seconds: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The non-negative price of each column that explains the seconds with the least relative error.

    amounts: (files, terms). Files that no prices explain pull less with each of three more turns (Huber's idea).
    """
    pull = weights.astype(float)
    relative = amounts / seconds[:, None]
    scale = np.linalg.norm(relative, axis=0)
    scale[scale == 0] = 1.0
    prices = np.zeros(amounts.shape[1])
    for _ in range(4):
        scaled, _ = nnls(relative / scale * pull[:, None], pull, maxiter=100 * amounts.shape[1])
        prices = np.asarray(scaled) / scale
        residuals = np.abs(relative @ prices - 1)
        pull = weights / np.sqrt(np.maximum(1.0, residuals / OUTLIER))
    return prices


def found_tiles(files: Sequence[Timed]) -> Tiles:
    """The tiles that explain the single matrix products best; where none does better, the first such in TILES."""
    single = [f for f in files if len(f.graph.operators) == 1 and f.graph.operators[0].name in MATRIX]
    if not single:
        return TILES[0]
    seconds = np.array([file.seconds for file in single])

    def misfit(tiles: Tiles) -> float:
        rows = [terms(file.graph, tiles) for file in single]
        names = sorted({name for row in rows for name in row})
        amounts = np.array([[row.get(name, 0.0) for name in names] for row in rows])
        prices = fitted(amounts, seconds, np.ones(len(single)))
        return float(np.mean(np.minimum(np.abs(amounts @ prices / seconds - 1), 1.0)))

    best = TILES[0]
    # One size after the other, twice: the sizes hardly depend on each other, and all together are 144 fits.
    for _ in range(2):
        for field in ("rows", "columns", "depth"):
            options = sorted({getattr(tiles, field) for tiles in TILES})
            trials = [Tiles(**{**vars(best), field: option}) for option in options]
            best = min(trials, key=misfit)
    return best


def _left_out_errors(amounts: np.ndarray, seconds: np.ndarray, chains: np.ndarray) -> np.ndarray:
    folds = np.arange(len(seconds)) % FOLDS
    predicted = np.empty(len(seconds))
    for fold in range(FOLDS):
        out = folds == fold
        if not out.any():
            continue
        weights = np.where(chains[~out], CHAIN_WEIGHT, 1.0)
        predicted[out] = amounts[out] @ fitted(amounts[~out], seconds[~out], weights)
    return np.abs(seconds / np.maximum(predicted, np.finfo(float).tiny) - 1)
