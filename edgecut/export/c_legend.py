"""What the outputs of a model mean, in C: names, units, and the thresholds as real values and as integers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from edgecut.records.artifact import Artifact
from edgecut.records.escapes import c_comment, c_string
from edgecut.records.legend import Legend
from edgecut.records.operating import Decision
from edgecut.render.decisions import decision_sentences, rule_lines

_COLUMNS = 110
_SHOWN = 40  # thresholds with a sentence in the header


def legend_header(symbol: str, artifact: Artifact, legend: Legend) -> str:
    """The declarations in NAME_io.h; "" for outputs without names, units and thresholds."""
    return "".join(_declared(symbol, artifact, legend))


def legend_source(symbol: str, artifact: Artifact, legend: Legend) -> str:
    """The arrays in NAME_model.c that the header declares."""
    return "".join(_defined(symbol, artifact, legend))


def c_float(value: float) -> str:
    """A float literal of a value that float32 holds."""
    text = f"{value:.9g}"
    return f"{text if set(text) & set('.e') else text + '.0'}f"


def _declared(symbol: str, artifact: Artifact, legend: Legend) -> Iterator[str]:
    prefix, place = symbol.upper(), legend.place(artifact)
    width = artifact.outputs[place].shape[-1] if artifact.outputs[place].shape else 1
    if legend.labels:
        what = (
            "The names of the values of an output, in their order."
            if width == len(legend.labels)
            else "The two classes of an output's single value: the more it is, the more it is the second."
        )
        yield (
            f"\n/* {what} */\n"
            f"#define {prefix}_LABEL_OUTPUT {place}\n"
            f"#define {prefix}_LABEL_COUNT {len(legend.labels)}\n"
            f"extern const char *const {symbol}_labels[{prefix}_LABEL_COUNT];\n"
        )
    units = legend.units_of(artifact)
    if units:
        yield (
            "\n/* The units of the values of an output, in their order. */\n"
            f"#define {prefix}_UNIT_OUTPUT {place}\n"
            f"#define {prefix}_UNIT_COUNT {len(units)}\n"
            f"extern const char *const {symbol}_units[{prefix}_UNIT_COUNT];\n"
        )
    for decision in legend.decisions:
        yield _decision(symbol, decision)


def _decision(symbol: str, decision: Decision) -> str:
    sentences = [*decision_sentences(decision)]
    more = [f"and {len(sentences) - _SHOWN} more"] if len(sentences) > _SHOWN else []
    texts = [c_comment(text) for text in (*sentences[:_SHOWN], *more, *rule_lines([decision]))]
    lines = [line for text in texts for line in textwrap.wrap(text, _COLUMNS, subsequent_indent="  ")]
    base = _base(symbol, decision)
    text = "\n/* " + "\n   ".join(lines) + " */\n"
    if decision.column is not None:
        text += (
            f"#define {base.upper()}_THRESHOLD_VALUE {decision.column} /* the place of the value that is compared */\n"
        )
    if isinstance(decision.thresholds, float):
        code = decision.points[0].code
        text += f"#define {base.upper()}_THRESHOLD {c_float(decision.thresholds)}\n"
        return text + ("" if code is None else f"#define {base.upper()}_THRESHOLD_CODE ({code})\n")
    text += f"#define {base.upper()}_THRESHOLD_COUNT {len(decision.points)}\n"
    return text + "".join(
        f"extern const {c_type} {base}_{noun}[{base.upper()}_THRESHOLD_COUNT];\n"
        for c_type, noun, _ in _arrays(decision)
    )


def _defined(symbol: str, artifact: Artifact, legend: Legend) -> Iterator[str]:
    for noun, texts in (("labels", legend.labels), ("units", legend.units_of(artifact))):
        if texts:
            rows = "".join(f"    {c_string(text)},\n" for text in texts)
            yield f"\nconst char *const {symbol}_{noun}[{len(texts)}] = {{\n{rows}}};\n"
    for decision in legend.decisions:
        if not isinstance(decision.thresholds, float):
            for c_type, noun, values in _arrays(decision):
                rows = "".join(f"    {value},\n" for value in values)
                yield f"\nconst {c_type} {_base(symbol, decision)}_{noun}[{len(values)}] = {{\n{rows}}};\n"


def _arrays(decision: Decision) -> Iterator[tuple[str, str, Sequence[str]]]:
    """(type, end of the name, values) of the arrays of thresholds that differ."""
    yield "float", "thresholds", [c_float(point.threshold) for point in decision.points]
    codes = [point.code for point in decision.points if point.code is not None]
    if len(codes) == len(decision.points):
        yield "int32_t", "threshold_codes", [str(code) for code in codes]


def _base(symbol: str, decision: Decision) -> str:
    return f"{symbol}_output" + (f"_{decision.place}" if decision.place else "")
