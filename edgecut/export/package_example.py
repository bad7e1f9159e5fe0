"""The example of a package: one inference, of an empty picture or of a camera's frame."""

from __future__ import annotations

from edgecut.engine.c_text import c_symbol

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


def main_c(name: str, outputs: int, *, camera: bool, by_rows: bool) -> str:
    """A C99 program that prints the class of the largest value.

    camera: whether NAME_camera.h is there. by_rows: whether the model takes the picture's rows.
    """
    includes = "#include <stdio.h>\n\n" + "".join(f'#include "{header}"\n' for header in _headers(name, camera))
    return (
        f"{_look(name, includes, camera, by_rows)}\nint main(void) {{\n    int best = 0, k;\n    look();\n"
        f"    for (k = 1; k < {outputs}; k++) if (output[k] > output[best]) best = k;\n"
        '    printf("%d\\n", best);\n    return 0;\n}\n'
    )


def sketch(name: str, outputs: int, *, camera: bool, by_rows: bool) -> str:
    """The same as an Arduino sketch, once a second."""
    includes = "".join(f"#include <{header}>\n" for header in _headers(name, camera))
    return (
        f"{_look(name, includes, camera, by_rows)}\nvoid setup() {{\n    Serial.begin(115200);\n}}\n\n"
        "void loop() {\n    int best = 0;\n    look();\n"
        f"    for (int k = 1; k < {outputs}; k++) if (output[k] > output[best]) best = k;\n"
        "    Serial.println(best);\n    delay(1000);\n}\n"
    )


def _headers(name: str, camera: bool) -> tuple[str, ...]:
    return (f"{name}_camera.h", f"{name}_run.h") if camera else (f"{name}_run.h",)


def _look(name: str, includes: str, camera: bool, by_rows: bool) -> str:
    """The buffers, and a function that fills `output`."""
    text = (_ROWS if by_rows else _FRAME) if camera else _EMPTY
    comment = _AS_BYTES.format(source=_SOURCES[text], name=name)
    return f"{comment}{includes}\n{text.format(symbol=c_symbol(name), prefix=c_symbol(name).upper())}"
