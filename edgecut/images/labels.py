"""Labels that are checked before anything is trained on them."""

from __future__ import annotations

import numpy as np

from edgecut.errors import DataError


def check_labels(labels: np.ndarray, classes: int, where: str, more: str = "set head.classes = {}") -> None:
    """Nothing, if every label is one of 0..classes-1.

    labels: (n,), whole numbers. where: put in front of the fault, such as "data.train". more: what makes room for
    as many classes as the labels need.
    Raises DataError that names the labels found and the remedy.
    """
    if not len(labels):
        return
    low, high = int(labels.min()), int(labels.max())
    if low >= 0 and high < classes:
        return
    if low == 1 and high == classes:
        remedy = "number the classes from 0"
    elif low < 0:
        remedy = "number the classes from 0 and leave out images without a class"
    else:
        remedy = f"{more.format(high + 1)} or leave those images out"
    raise DataError(f"{where}: labels are {low}..{high}, and {classes} classes allow 0..{classes - 1}; {remedy}")
