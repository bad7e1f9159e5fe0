"""A model file as C99 source: its bytes as an array, and a header that says what goes in and comes out."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

import numpy as np

from edgecut.engine.c_text import c_symbol, signed
from edgecut.export.c_legend import c_float, legend_header, legend_source
from edgecut.images.device import COLOURS, DEFAULT_ORDER
from edgecut.records.artifact import Artifact, TensorSpec
from edgecut.records.escapes import c_comment
from edgecut.records.legend import NO_LEGEND, Legend

_BYTES_PER_LINE = 12
_C_TYPES = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "int64": "int64_t",
    "uint64": "uint64_t",
    "float32": "float",
    "float64": "double",
    "bool": "uint8_t",
}


@dataclass(frozen=True, eq=False)
class Camera:
    """What a camera's bytes become in a model's input.

    byte_table: (channels, 256) in the input's dtype: what each camera byte becomes; (1, 256) if the channels are alike;
    None leaves the table out. order: what the image's channels are, a recipe's stem.order. bgr: whether the input takes
    the channels of an R, G, B image in the order B, G, R.
    """

    byte_table: np.ndarray | None = None
    order: str | None = None
    bgr: bool = False


NO_CAMERA = Camera()


def c_files(
    content: bytes,
    name: str,
    artifact: Artifact,
    arena_bytes: int | None,
    legend: Legend = NO_LEGEND,
    camera: Camera = NO_CAMERA,
) -> dict[str, str]:
    """{file name: text} of NAME_model.h, NAME_model.c and NAME_io.h.

    content: the model file that `artifact` describes. arena_bytes: the tensor arena to reserve, None if unknown.
    legend: of the outputs; labels are left out if no output has as many values, so that nobody reads past their end by
    an output's position. camera: what the input is made of.
    """
    symbol = c_symbol(name)
    legend = legend if artifact.labelled(legend.labels) else replace(legend, labels=())
    return {
        f"{name}_model.h": _model_header(symbol, name, artifact),
        f"{name}_model.c": _model_source(
            content, symbol, name, legend_source(symbol, artifact, legend), camera.byte_table
        ),
        f"{name}_io.h": _io_header(name, artifact, arena_bytes, legend, camera),
    }


def outputs_files(name: str, artifact: Artifact, legend: Legend) -> dict[str, str]:
    """{file name: text} of NAME_outputs.h and NAME_outputs.c, which say what a file's outputs mean; {} for nothing."""
    symbol = c_symbol(name)
    declared = legend_header(symbol, artifact, legend)
    if not declared:
        return {}
    guard, title = f"{symbol.upper()}_OUTPUTS_H", f"{name}: what comes out"
    defined = legend_source(symbol, artifact, legend)
    source = f'/* {c_comment(name)}: what comes out. Written by edgecut; do not edit. */\n#include "{name}_outputs.h"\n'
    return {
        f"{name}_outputs.h": _guarded(guard, title, "#include <stdint.h>", declared),
        **({f"{name}_outputs.c": source + defined} if defined else {}),
    }


def input_rule(spec: TensorSpec) -> str:
    """In one line, what an input value is made from; q is the value in the input's own dtype."""
    real = "the camera's byte, 0 to 255" if spec.expects == "raw" else "the value that the source model takes"
    if spec.scale is None:
        return f"value = r, {real}" if spec.expects == "normalized" else f"value = {real}"
    if (spec.dtype, spec.scale, spec.zero_point, spec.expects) == ("int8", 1.0, -128, "raw"):
        return "q = (int8_t)(camera byte ^ 0x80), which is the byte minus 128"
    low, high = np.iinfo(spec.dtype).min, np.iinfo(spec.dtype).max
    rounded = f"round(r / {spec.scale:.9g}){signed(spec.zero_point or 0)}"
    return f"q = {rounded}, kept within {low} and {high}, where r is {real}"


def _model_header(symbol: str, name: str, artifact: Artifact) -> str:
    body = f"""
/* {c_comment(artifact.path)}, {artifact.precision}, SHA-256 {artifact.sha256} */
#define {symbol.upper()}_MODEL_LEN {artifact.size_bytes}
extern const unsigned char {symbol}_model[{symbol.upper()}_MODEL_LEN]; /* on a 16-byte boundary */
extern const size_t {symbol}_model_len;
extern const char {symbol}_model_sha256[65];
"""
    return _guarded(f"{symbol.upper()}_MODEL_H", f"{name}: the model file as an array", "#include <stddef.h>", body)


def _model_source(content: bytes, symbol: str, name: str, outputs: str, byte_table: np.ndarray | None) -> str:
    digest = hashlib.sha256(content).hexdigest()
    table = ""
    if byte_table is not None:
        c_type = _C_TYPES[byte_table.dtype.name]
        rows = _table_rows(byte_table)
        table = f"\nconst {c_type} {symbol}_from_byte[{len(byte_table)}][256] = {{\n{rows}}};\n"
    return f"""/* {c_comment(name)}: the model file as an array. Written by edgecut; do not edit.
   SHA-256 {digest} */
#include "{name}_model.h"

#include "{name}_io.h"

#if defined(__GNUC__) || defined(__clang__)
#define {symbol.upper()}_ALIGNED __attribute__((aligned(16)))
#elif defined(_MSC_VER)
#define {symbol.upper()}_ALIGNED __declspec(align(16))
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define {symbol.upper()}_ALIGNED _Alignas(16)
#else
#error "say here how this compiler puts an array on a 16-byte boundary"
#endif

const size_t {symbol}_model_len = {symbol.upper()}_MODEL_LEN;
const char {symbol}_model_sha256[65] = "{digest}";
{table}{outputs}
{symbol.upper()}_ALIGNED const unsigned char {symbol}_model[{symbol.upper()}_MODEL_LEN] = {{
{_array_rows(content)}}};
"""


def _io_header(name: str, artifact: Artifact, arena_bytes: int | None, legend: Legend, camera: Camera) -> str:
    symbol, byte_table = c_symbol(name), camera.byte_table
    prefix = symbol.upper()
    parts: list[str] = []
    for side, specs in (("INPUT", artifact.inputs), ("OUTPUT", artifact.outputs)):
        for index, spec in enumerate(specs):
            parts.append(_tensor_macros(f"{prefix}_{side}" + (f"_{index}" if index else ""), spec, side))
    if artifact.inputs[0].expects is not None and len(artifact.inputs[0].shape) == 4:
        parts.append(_byte_order(prefix, artifact.inputs[0].shape[3], camera.order, camera.bgr))
    if byte_table is not None:
        c_type = _C_TYPES[byte_table.dtype.name]
        parts.append(
            "\n/* What a camera byte becomes: one row for all channels, or one per channel of the input. */\n"
            f"#define {prefix}_FROM_BYTE_ROWS {len(byte_table)}\n"
            f"extern const {c_type} {symbol}_from_byte[{prefix}_FROM_BYTE_ROWS][256];\n"
        )
    parts.append(legend_header(symbol, artifact, legend))
    parts.append(
        "\n/* The size of the interpreter's tensor arena isn't known: no measurement answered it. */\n"
        if arena_bytes is None
        else f"\n#define {prefix}_TFLM_ARENA_BYTES {arena_bytes} /* TFLM's arena, on a 16-byte boundary */\n"
    )
    return _guarded(f"{prefix}_IO_H", f"{name}: what goes in and what comes out", "#include <stdint.h>", "".join(parts))


def _byte_order(prefix: str, channels: int, order: str | None, bgr: bool) -> str:
    given = order or DEFAULT_ORDER.get(channels, "")
    taken = "bgr" if bgr else given
    named = f'#define {prefix}_INPUT_ORDER "{taken.upper()}"\n' if taken else ""
    source = f"({channels - 1} - (c))" if bgr else "(c)"
    pixel = COLOURS.get(given, f"{channels} channels")
    return (
        "\n/* The image is one byte per channel, row by row from the top left. A pixel is:\n"
        f"   {pixel}.\n"
        "   Channel c of the input comes from this channel of the image: */\n"
        f"{named}#define {prefix}_CAMERA_CHANNEL(c) {source}\n"
    )


def _tensor_macros(prefix: str, spec: TensorSpec, side: str) -> str:
    count = math.prod(spec.shape)
    lines = [f'\n/* {side.capitalize()} "{c_comment(spec.name)}": {" x ".join(map(str, spec.shape))}, {spec.dtype}']
    if len(spec.shape) == 4:
        lines[0] += ", NHWC: row by row, the channels of a pixel next to each other"
    if side == "INPUT":
        lines.append(f"   {c_comment(input_rule(spec))}")
    elif spec.scale is not None:
        lines.append(f"   real value = {spec.scale:.9g} * (q{signed(-(spec.zero_point or 0))})")
    lines[-1] += " */"
    lines += [f"#define {prefix}_TYPE {_C_TYPES[spec.dtype]}", f"#define {prefix}_RANK {len(spec.shape)}"]
    lines += [f"#define {prefix}_DIM_{axis} {size}" for axis, size in enumerate(spec.shape)]
    lines += [f"#define {prefix}_COUNT {count}"]
    lines += [f"#define {prefix}_BYTES {count * np.dtype(spec.dtype).itemsize}"]
    if spec.scale is not None:
        lines += [f"#define {prefix}_SCALE {c_float(spec.scale)}"]
        lines += [f"#define {prefix}_ZERO_POINT ({spec.zero_point or 0})"]
    if side == "INPUT" and spec.expects is not None:
        lines += [f"#define {prefix}_EXPECTS_RAW {int(spec.expects == 'raw')}"]
    return "\n".join(lines) + "\n"


def _guarded(guard: str, title: str, includes: str, declarations: str) -> str:
    return f"""/* {c_comment(title)}. Written by edgecut; do not edit. */
#ifndef {guard}
#define {guard}

{includes}

#ifdef __cplusplus
extern "C" {{
#endif
{declarations}
#ifdef __cplusplus
}}
#endif

#endif
"""


def _array_rows(content: bytes) -> str:
    text, width = content.hex(" "), 3 * _BYTES_PER_LINE
    starts = range(0, len(text), width)
    return "".join(f"    0x{text[i : i + width - 1].replace(' ', ', 0x')},\n" for i in starts)


def _table_rows(table: np.ndarray) -> str:
    rows = []
    for channel in table:
        values = [_number(value) for value in channel.tolist()]
        lines = [", ".join(values[i : i + 16]) for i in range(0, 256, 16)]
        rows.append("    {" + ",\n     ".join(lines) + "},\n")
    return "".join(rows)


def _number(value: float) -> str:
    return c_float(value) if isinstance(value, float) else str(value)
