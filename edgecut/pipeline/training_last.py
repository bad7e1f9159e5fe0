"""Quantization-aware training as the last cure of precision "auto", where a recipe's compress.qat permits it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgecut.errors import DataError
from edgecut.graph.predict import predict_outputs
from edgecut.images.sampling import split
from edgecut.pipeline.answers import answers_of
from edgecut.pipeline.compressing import aware_file, compressed
from edgecut.pipeline.fitting import FittedModel, to_input
from edgecut.quantize.choosing import is_better
from edgecut.quantize.interior import Pictures
from edgecut.quantize.judges import OutputJudge
from edgecut.quantize.until import Outcome
from edgecut.records.recipe import Compress
from edgecut.records.trial import Trial

if TYPE_CHECKING:
    from edgecut.pipeline.running import Run

CURE = "quantization-aware training"
# Of the training images of each class: they judge the trained file, and don't train it.
JUDGING = 0.3


def train_last(state: Run, fitted: FittedModel, found: Outcome, limit: float, scratch: Path) -> Outcome:
    """The outcome of the other cures with quantization-aware training tried after them.

    Its file is chosen if it is known to be better than theirs (quantize/choosing.py), both measured on training images
    that it wasn't trained on. The float model's head may have been fitted on those, too, so that the drop is rather
    over- than underrated.
    """
    if state.dataset is None:
        raise DataError("compress.qat: trains on labelled images; set data.train (--data)")
    began = time.perf_counter()
    pixels, labels = state.dataset.train.pixels, state.labels
    training, judging = split(labels, JUDGING, state.recipe.data.seed, "compress.qat")
    wanted = Compress(qat=True, **state.recipe.compress.model_dump(include={"epochs", "batch", "learning_rate",
                                                                            "patience", "skip"}))  # fmt: skip
    trained = compressed(state, fitted, wanted, training)
    content = aware_file(state, trained, scratch)
    pictures = Pictures(pixels[judging], lambda x: to_input(state, x))
    floats = predict_outputs(fitted.model, pixels[judging], lambda x: to_input(state, x), title="float model",
                             progress=state.progress)  # fmt: skip
    judge = OutputJudge(pictures, floats, answers_of(state, fitted.model), labels[judging],
                        len(state.dataset.val.pixels), state.progress)  # fmt: skip
    scored, before = judge.judged(content), judge.judged(found.content)
    better = is_better(scored, before, limit)
    trial = Trial(
        cures=(CURE,), accuracy=scored.accuracy, drop=scored.drop, drop_error=scored.drop_error,
        agreement=scored.agreement, sqnr=scored.sqnr, sqnr_varying=scored.sqnr_varying, images=scored.images,
        size_bytes=len(content),
        gained=None if before.drop is None or scored.drop is None else before.drop - scored.drop,
        seconds=round(time.perf_counter() - began, 2), kept=better, chosen=better,
        note="" if better else f"{CURE} isn't known to be better than the other cures' file",
    )  # fmt: skip
    if not better:
        return Outcome(found.content, (*found.trials, trial), found.met)
    others = tuple(x.model_copy(update={"chosen": False}) for x in found.trials)
    return Outcome(content, (*others, trial), scored.meets(limit))
