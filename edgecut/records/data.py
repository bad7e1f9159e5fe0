"""What a model is fitted on, calibrated on and judged by, and what its outputs are called."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from edgecut.records.document import Finite, Record

# What the images' labels are: a class each, values or tags (n, outputs), or none: the source's own features, or the
# model's input, which an autoencoder puts out again.
Target = Literal["classes", "values", "tags", "features", "input"]
# What feeds the model: pictures that are brought to its size, or arrays of its own input shapes.
Kind = Literal["pictures", "arrays"]


class Data(Record):
    """Labelled images: class folders, shards (Parquet, Arrow, WebDataset tars), or an .npz with x_train, y_train and
    perhaps x_test, y_test.

    kind: arrays are an .npz whose x_train, or x_train.NAME for each of several inputs, has the shape of the model's own
    input; by default pictures where the model takes one picture, else arrays. target: what y says: classes; values,
    (n,) or (n, outputs); tags, (n, outputs) of 0 and 1; features: no y, the head is fitted to what the source model's
    last layer is told; input: no y, the model puts out again what it takes. labels: a file of the classes' names, one
    to a line in the outputs' order, or these names. units: of the values of an output, one for all or one for each.

    image_column, label_column: of Parquet and Arrow files, where not the only ones of their kind; several label columns
    are values side by side. Also said behind the path: "x.parquet?image_column=img&label_column=fine_label".

    threshold: above which score a class or a tag is said: a number; or, chosen on half of the validation images of what
    each file puts out, "f1", the best F1, or "fpr=0.01", the highest recall within a false-positive rate. positive: the
    class of two that a score above it says, by default the second.
    """

    kind: Kind | None = None

    train: str | None = None
    val: str | None = None
    image_column: str | None = None
    label_column: str | tuple[str, ...] | None = None
    labels: str | tuple[str, ...] | None = None
    units: str | tuple[str, ...] | None = None
    threshold: Finite | str | None = None
    positive: str | None = None
    calibration: int = Field(default=200, ge=1)
    target: Target = "classes"
    limit: int | tuple[int, int] | None = None
    val_fraction: float = Field(default=0.2, gt=0, lt=1)
    licence: str = ""
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _path_names_columns(cls, data: object) -> object:
        """Columns behind data.train's path as keys of their own. A file's own name may hold a question mark."""
        train = data.get("train") if isinstance(data, dict) else None
        match = re.search(r"\?(?=(?:image|label)_column=)", train) if isinstance(train, str) else None
        if match is None or not isinstance(data, dict) or not isinstance(train, str):
            return data
        columns: dict[str, list[str]] = {}
        for part in train[match.end() :].split("&"):
            key, _, name = part.partition("=")
            if key not in ("image_column", "label_column") or not name:
                raise ValueError(f"expected image_column=NAME or label_column=NAME, found {part!r}")
            columns.setdefault(key, []).append(name)
        if len(columns.get("image_column", ())) > 1:
            raise ValueError(f"train says image_column {' and '.join(map(repr, columns['image_column']))}; say it once")
        values = {key: names[0] if len(names) == 1 else tuple(names) for key, names in columns.items()}
        for key, value in values.items():
            if data.get(key, value) != value:
                raise ValueError(f"train says {key} {value!r}, and {key} is {data[key]!r}; say it once")
        return {**data, "train": train[: match.start()], **values}

    @property
    def unit_names(self) -> tuple[str, ...]:
        """The units: one for all values of an output, one for each, or none."""
        return (self.units,) if isinstance(self.units, str) else self.units or ()

    @property
    def threshold_rule(self) -> str:
        """What chooses a threshold: "f1" or "fpr=RATE"; "" where nothing does."""
        return self.threshold if isinstance(self.threshold, str) else ""

    @property
    def threshold_fpr(self) -> float | None:
        """The false-positive rate that the rule allows; None without such a rule."""
        word, _, rate = self.threshold_rule.partition("=")
        return float(rate) if word == "fpr" else None

    @field_validator("threshold")
    @classmethod
    def _rule_is_known(cls, threshold: float | str | None) -> float | str | None:
        if isinstance(threshold, str) and threshold != "f1":
            match = re.fullmatch(r"fpr=(0?\.\d+|0)", threshold)
            if match is None:
                raise ValueError(f"expected a number, 'f1' or a rate below 1 as in 'fpr=0.01', found {threshold!r}")
        return threshold

    @property
    def labels_file(self) -> str | None:
        """The file of names; None where they are listed, or there are none."""
        return self.labels if isinstance(self.labels, str) else None

    @field_validator("labels")
    @classmethod
    def _names_differ(cls, labels: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if isinstance(labels, tuple):
            for place, name in enumerate(labels):
                if not name.strip() or len(name.splitlines()) > 1:
                    raise ValueError(f"a class has a name of one line, found {name!r}")
                if name in labels[:place]:
                    raise ValueError(f"the class {name!r} is named twice")
        return labels or None

    @field_validator("limit")
    @classmethod
    def _limit_is_positive(cls, limit: int | tuple[int, int] | None) -> int | tuple[int, int] | None:
        if limit is not None and min(limit if isinstance(limit, tuple) else (limit,)) < 1:
            raise ValueError(f"at least 1 image is needed, found {limit}")
        return limit
