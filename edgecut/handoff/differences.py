"""What isn't the same of two builds: files, operators, tensors, settings, inputs, devices and versions, by name."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgecut.handoff.builds import Side, label, label_names, pair_label, paired
from edgecut.records.artifact import Artifact
from edgecut.records.comparison import Difference, Subject
from edgecut.records.recipe import Recipe
from edgecut.records.report import Report
from edgecut.tflite.flatbuffer import Tensor, parse, read_content
from edgecut.tflite.patch import constants

_PATHS = {"source.model", "data.train", "data.val", "data.labels"}
_SHOWN = 4  # tensors of a file, and labels; of more, it is said how many


def differences(a: Side, b: Side) -> tuple[Difference, ...]:
    """What isn't the same on both sides: what was asked and with what, then what came of it.

    Files of other bytes that differ in nothing that has a name are named themselves.
    """
    if len(a.artifacts) == len(b.artifacts) == 1:
        found = list(_different("file", *({"format and precision": label(x.artifacts[0])} for x in (a, b))))
    else:
        found = list(_different("file", *(dict.fromkeys(map(label, x.artifacts), "here") for x in (a, b))))
    if a.recipe is not None and b.recipe is not None:
        found += _different("recipe", _settings(a.recipe), _settings(b.recipe))
    if a.report is not None and b.report is not None:
        found += _different("input", _inputs(a, a.report), _inputs(b, b.report))
        found += _labels(a, b)
        found += _devices(a.report, b.report)
        found += _different("toolchain", _tools(a.report), _tools(b.report))
    others = []
    for one, other in paired(a, b):
        name = pair_label(one, other)
        found += _different(
            "operator", *({f"{name} {op}": str(n) for op, n in x.operators.items()} for x in (one, other))
        )
        if one.sha256 != other.sha256:
            found += _tensors(a, b, one, other)
            others.append(Difference(what="file", name=name, a=one.sha256, b=other.sha256))
    return tuple(found or others)


def _different(what: Subject, a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Difference]:
    for name in dict.fromkeys((*a, *b)):
        if a.get(name) != b.get(name):
            yield Difference(what=what, name=name, a=a.get(name), b=b.get(name))


def _settings(recipe: Recipe) -> dict[str, str]:
    """{dotted key: value}; of files only the name, since the same request may lie in another folder."""
    flat = dict(_flat("", recipe.to_dict()))
    paths = {key: Path(value).name for key, value in flat.items() if key in _PATHS and isinstance(value, str) and value}
    return {key: json.dumps(value) for key, value in {**flat, **paths}.items()}


def _flat(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else key, part)
    else:
        yield prefix, value


def _tools(report: Report) -> dict[str, str]:
    alone = {key: str(value) for key, value in report.environment.to_dict().items() if key != "packages"}
    return {"edgecut": report.edgecut, **alone, **report.environment.packages}


def _inputs(side: Side, report: Report) -> dict[str, str]:
    """{recipe key: SHA-256} of what was read, as the bundle's lock has it."""
    try:
        locked = tomllib.loads((side.folder / "recipe.lock.toml").read_text(encoding="utf-8")).get("inputs")
    except (OSError, ValueError):
        locked = None
    inputs = {str(key): str(value) for key, value in locked.items()} if isinstance(locked, dict) else {}
    return {f"{key} (SHA-256)": value for key, value in {**inputs, "source.model": report.source.sha256}.items()}


def _labels(a: Side, b: Side) -> Iterator[Difference]:
    names = [label_names(side) for side in (a, b)]
    places = [k for k in range(max(map(len, names))) if _at(names[0], k) != _at(names[1], k)]
    if places:
        yield Difference(what="label", name="labels.txt", a=_named(names[0], places), b=_named(names[1], places))


def _at(names: Sequence[str], place: int) -> str | None:
    return names[place] if place < len(names) else None


def _named(names: Sequence[str], places: Sequence[int]) -> str | None:
    """ "2: Pullover, 5: Sandal", with how many more there are; None where there are no labels."""
    more = f", and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return ", ".join(f"{k}: {_at(names, k) or 'none'}" for k in places[:_SHOWN]) + more if names else None


def _devices(a: Report, b: Report) -> Iterator[Difference]:
    """The devices of one side alone, and the facts of the others that differ."""
    sides = [{str(profile.get("id")): profile for profile in report.profiles} for report in (a, b)]
    yield from _different("profile", *(dict.fromkeys(side, "here") for side in sides))
    for name in (name for name in sides[0] if name in sides[1]):
        facts = ({f"{name} {key}": json.dumps(value) for key, value in _flat("", side[name])} for side in sides)
        yield from _different("profile", *facts)


def _tensors(a: Side, b: Side, one: Artifact, other: Artifact) -> Iterator[Difference]:
    """The tensors whose values or scales differ, of two .tflite files that have the same tensors."""
    if (one.format, other.format) != ("tflite", "tflite"):
        return
    contents = [read_content(side.folder / file.path) for side, file in ((a, one), (b, other))]
    graphs = [parse(content, file.path) for content, file in zip(contents, (one, other), strict=True)]
    shapes = [[(t.name, t.shape, t.dtype) for t in graph.tensors] for graph in graphs]
    if shapes[0] != shapes[1]:
        return
    values = [constants(content, graph) for content, graph in zip(contents, graphs, strict=True)]
    rows = []
    for t, u in zip(graphs[0].tensors, graphs[1].tensors, strict=True):
        words = _value_words(values[0].get(t.index), values[1].get(t.index)) or _scale_words(t, u)
        if words is not None:
            rows.append(Difference(what="tensor", name=f"{pair_label(one, other)} {t.name}", a=words[0], b=words[1]))
    yield from rows[:_SHOWN]
    if len(rows) > _SHOWN:
        count = f"{len(rows) - _SHOWN} more tensors"
        yield Difference(what="tensor", name=f"{pair_label(one, other)} {count}", a="other values", b="other values")


def _value_words(a: np.ndarray | None, b: np.ndarray | None) -> tuple[str, str] | None:
    """The first values that differ, and how many do; None if none does."""
    if a is None or b is None or a.shape != b.shape:
        return None
    places = np.argwhere(~((a == b) | ((a != a) & (b != b))))
    if not len(places):
        return None
    first = tuple(int(k) for k in places[0])
    return f"{a[first]:.6g} at {list(first)}", f"{b[first]:.6g}; {len(places)} of {a.size} values differ"


def _scale_words(a: Tensor, b: Tensor) -> tuple[str, str] | None:
    if (a.scales, a.zero_points) == (b.scales, b.zero_points):
        return None
    k = next((k for k in range(min(len(a.scales), len(b.scales))) if a.scales[k] != b.scales[k]), 0)
    words = [
        f"scale {t.scales[k]:.8g}, zero point {t.zero_points[k] if k < len(t.zero_points) else 0}"
        if t.scales
        else "none"
        for t in (a, b)
    ]
    return words[0], words[1]
