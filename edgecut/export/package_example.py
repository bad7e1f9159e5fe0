"""The example of a package: one inference, of an empty picture or of a camera's frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgecut.engine.c_text import c_symbol
from edgecut.records.operating import Decision

_AS_BYTES = """\
/* {source}
   Each byte goes in as (int8_t)(byte ^ 0x80), which is right where the model takes the camera's bytes as they are;
   {name}_run.h says what an integer of the input stands for. */
"""
_EMPTY = """\
static int8_t work[{prefix}_ARENA_BYTES];
static int8_t input[{prefix}_INPUT_BYTES];
static int8_t output[{prefix}_OUTPUT_BYTES];

static void look(void) {{
    {symbol}_run_in(work, input, output);
}}
"""
_FRAME = """\
static int8_t work[{prefix}_ARENA_BYTES];
static uint8_t frame[(unsigned long){prefix}_CAMERA_HEIGHT * {prefix}_CAMERA_WIDTH * {prefix}_CAMERA_CHANNELS];
static uint8_t picture[{prefix}_INPUT_BYTES];
static int8_t input[{prefix}_INPUT_BYTES];
static int8_t output[{prefix}_OUTPUT_BYTES];

static void look(void) {{
    long k;
    {symbol}_camera(frame, picture);
    for (k = 0; k < {prefix}_INPUT_BYTES; k++) input[k] = (int8_t)(picture[k] ^ 0x80);
    {symbol}_run_in(work, input, output);
}}
"""
_ROWS = """\
static int8_t work[{prefix}_ROWS_ARENA_BYTES];
static uint8_t frame[(unsigned long){prefix}_CAMERA_HEIGHT * {prefix}_CAMERA_WIDTH * {prefix}_CAMERA_CHANNELS];
static uint8_t pixels[{prefix}_ROW_BYTES];
static int8_t row[{prefix}_ROW_BYTES];
static int8_t output[{prefix}_OUTPUT_BYTES];

static void look(void) {{
    int x, y;
    {symbol}_begin(work);
    for (y = 0; y < {prefix}_ROWS; y++) {{
        {symbol}_camera_row(frame, y, pixels);
        for (x = 0; x < {prefix}_ROW_BYTES; x++) row[x] = (int8_t)(pixels[x] ^ 0x80);
        {symbol}_push_row(work, row);
    }}
    {symbol}_finish(work, output);
}}
"""
_SOURCES = {
    _EMPTY: "One inference of an empty picture: put the camera's bytes into `input`.",
    _FRAME: "One inference of a frame: the camera writes it to `frame`.",
    _ROWS: "One inference of a frame, row by row: the camera writes it to `frame`.",
}


@dataclass(frozen=True)
class Meaning:
    """What the example says. count: values of the output that is told. first: the place of its first one in `output`.

    labels: how many names NAME_outputs.h has for it. decision: its thresholds there; None for the largest value.
    """

    count: int
    first: int = 0
    labels: int = 0
    decision: Decision | None = None


def main_c(name: str, meaning: Meaning, *, camera: bool, by_rows: bool) -> str:
    """A C99 program that prints what the output says: a class, or each tag above its threshold.

    camera: whether NAME_camera.h is there. by_rows: whether the model takes the picture's rows.
    """
    headers = _headers(name, meaning, camera)
    includes = "#include <stdio.h>\n\n" + "".join(f'#include "{header}"\n' for header in headers)

    def say(value: str, is_text: bool) -> str:
        return f'printf("%{"s" if is_text else "d"}\\n", {value});'

    return (
        f"{_look(name, includes, camera, by_rows)}\nint main(void) {{\n{_told(name, meaning, say)}    return 0;\n}}\n"
    )


def sketch(name: str, meaning: Meaning, *, camera: bool, by_rows: bool) -> str:
    """The same as an Arduino sketch, once a second."""
    includes = "".join(f"#include <{header}>\n" for header in _headers(name, meaning, camera))
    told = _told(name, meaning, lambda value, is_text: f"Serial.println({value});")
    return (
        f"{_look(name, includes, camera, by_rows)}\nvoid setup() {{\n    Serial.begin(115200);\n}}\n\n"
        f"void loop() {{\n{told}    delay(1000);\n}}\n"
    )


def _told(name: str, meaning: Meaning, say: Callable[[str, bool], str]) -> str:
    """One inference, and what its output says. say: the statement that prints a text or a number."""
    symbol, decision = c_symbol(name), meaning.decision
    named = meaning.labels > 0
    if decision is None:
        best = f"{symbol}_labels[best]" if named else "best"
        value = _value("k", meaning.first), _value("best", meaning.first)
        return (
            "    int best = 0, k;\n    look();\n"
            f"    for (k = 1; k < {meaning.count}; k++) if ({value[0]} > {value[1]}) best = k;\n"
            f"    {say(best, named)}\n"
        )
    base = f"{symbol}_output" + (f"_{decision.place}" if decision.place else "")
    macro = f"{base.upper()}_THRESHOLD_CODE"
    if len(decision.points) == 1 and meaning.labels != 1:
        yes, no = (1, 0) if decision.column is None else (decision.column, 1 - decision.column)
        above = f"{_value(str(decision.column or 0), meaning.first)} >= {macro}"
        said = f"{symbol}_labels[{above} ? {yes} : {no}]" if named else above
        return f"    look();\n    {say(said, named)}\n"
    least = macro if isinstance(decision.thresholds, float) else f"{base}_threshold_codes[k]"
    said = f"{symbol}_labels[k]" if named else "k"
    return (
        "    int k;\n    look();\n"
        f"    for (k = 0; k < {meaning.count}; k++) if ({_value('k', meaning.first)} >= {least}) {say(said, named)}\n"
    )


def _value(place: str, first: int) -> str:
    return f"output[{first} + {place}]" if first else f"output[{place}]"


def _headers(name: str, meaning: Meaning, camera: bool) -> tuple[str, ...]:
    outputs = [f"{name}_outputs.h"] if meaning.labels or meaning.decision else []
    return (*([f"{name}_camera.h"] if camera else []), *outputs, f"{name}_run.h")


def _look(name: str, includes: str, camera: bool, by_rows: bool) -> str:
    """The buffers, and a function that fills `output`."""
    text = (_ROWS if by_rows else _FRAME) if camera else _EMPTY
    comment = _AS_BYTES.format(source=_SOURCES[text], name=name)
    return f"{comment}{includes}\n{text.format(symbol=c_symbol(name), prefix=c_symbol(name).upper())}"
