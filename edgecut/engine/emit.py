"""NAME_run.c and NAME_run.h: a program, its kernels and its tables as C99."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from edgecut.engine.c_text import c_symbol, signed
from edgecut.engine.kernels.text import pieces
from edgecut.engine.lowered import Call, Value
from edgecut.engine.network import Network
from edgecut.engine.program import Program
from edgecut.records.escapes import c_comment

_HERE = Path(__file__).parent
_C_TYPES = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t", "uint8": "uint8_t"}
_PER_LINE = 20


def c_files(network: Network, whole: Program, by_rows: Program | None, name: str, digest: str) -> dict[str, str]:
    """{file name: text} of NAME_run.c and NAME_run.h.

    whole: what runs on an input that is there. by_rows: what runs while rows arrive, None for several inputs.
    digest: the file's SHA-256.
    """
    symbol = c_symbol(name)
    words = {"NAME": name, "TITLE": c_comment(name), "SYMBOL": symbol, "PREFIX": symbol.upper(), "DIGEST": digest}
    header = _template("run.h.in", words | _header_words(network, whole, by_rows, words))
    source = _template("run.c.in", words | _source_words(network, whole, by_rows, words))
    return {f"{name}_run.c": source, f"{name}_run.h": header}


@cache
def _text(name: str) -> str:
    return (_HERE / name).read_text()


def _template(name: str, words: Mapping[str, str]) -> str:
    return re.sub(r"@(\w+)@", lambda word: words[word[1]], _text(name))


def _header_words(
    network: Network, whole: Program, by_rows: Program | None, words: Mapping[str, str]
) -> dict[str, str]:
    lines, prefix, read = list[str](), words["PREFIX"], _inputs_read(network)
    for side, storages, spans in (
        ("INPUT", network.inputs, whole.inputs),
        ("OUTPUT", network.outputs, whole.outputs),
    ):
        for k, (storage, (at, count)) in enumerate(zip(storages, spans, strict=True)):
            tensor, one = network.storages[storage].tensor, _macro(prefix, side, k)
            shape = " x ".join(map(str, tensor.shape))
            lines.append(
                f'\n/* {side.capitalize()} "{c_comment(tensor.name)}": {shape}, {tensor.dtype}; '
                f"real value = {tensor.scales[0]:.9g} * (q{signed(-tensor.zero_points[0])}) */"
                if tensor.scales
                else f'\n/* {side.capitalize()} "{c_comment(tensor.name)}": {shape}, {tensor.dtype} */'
            )
            lines.append(f"#define {one}_BYTES {count}")
            if side == "INPUT":
                lines.append(f"#define {one}_AT {at}" if k in read else "/* It isn't read, and has no place. */")
    streamed = ""
    if by_rows is not None:
        row = network.storages[network.inputs[0]].view
        state_at = state_offset(by_rows)
        state = rows_arena_bytes(network, by_rows) - state_at
        numbers = {"ROWS": row.rows, "ROW_BYTES": row.row_bytes, "ROWS_ARENA": state_at, "STATE": state}
        streamed = _template("rows.h.in", {**words, **{word: str(number) for word, number in numbers.items()}})
    return {
        "BY_ROWS": streamed,
        "TENSORS": "\n".join(lines),
        "ARENA": str(max(whole.arena_bytes, 1)),
        "IN_PLACE": f"{_macro(prefix, 'INPUT', read[0])}_AT",
    }


def _macro(prefix: str, side: str, k: int) -> str:
    return f"{prefix}_{side}" + (f"_{k}" if k else "")


def _inputs_read(network: Network) -> list[int]:
    """The numbers of the inputs that an operator reads or that are outputs; the others have no place."""
    used = {operand.storage for node in network.nodes for operand in node.operands} | {*network.outputs}
    return [k for k, storage in enumerate(network.inputs) if storage in used]


def state_offset(by_rows: Program) -> int:
    """Where the cursor lies between two rows: behind the tensors, on a boundary of 4."""
    return -(-by_rows.arena_bytes // 4) * 4


def rows_arena_bytes(network: Network, by_rows: Program) -> int:
    """The work buffer of a run by rows: its tensors and the cursor, three numbers of 16 bits and one for each node, one
    for the input and one to spare.
    """
    return state_offset(by_rows) + 2 * (max(len(network.nodes), 1) + 4)


@dataclass
class _Tables:
    """Constant arrays by their content, each written once."""

    names: dict[tuple[str, bytes], str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)

    def name(self, values: np.ndarray) -> str:
        """The name of the array that holds these values."""
        key = (values.dtype.name, np.ascontiguousarray(values).tobytes())
        if key not in self.names:
            self.names[key] = f"table_{len(self.names)}"
            self.texts.append(array_text(self.names[key], values))
        return self.names[key]


def array_text(name: str, values: np.ndarray) -> str:
    """A constant array as C."""
    flat = np.ascontiguousarray(values).ravel()
    return f"static const {_C_TYPES[flat.dtype.name]} {name}[{flat.size}] = {{\n{_rows(flat)}}};\n"


def _rows(flat: np.ndarray) -> str:
    if flat.dtype == np.int8:
        return _byte_rows(flat)
    # C has no literal of the smallest int32: its digits are a larger type's before the sign is applied.
    smallest = {-(2**31): "(-2147483647 - 1)", -(2**63): "(-9223372036854775807 - 1)"}
    words = [smallest.get(v, str(v)) for v in flat.tolist()]
    lines = (words[k : k + 10] for k in range(0, len(words), 10))
    return "".join(f"    {', '.join(line)},\n" for line in lines)


@cache
def _byte_texts() -> np.ndarray:
    texts = [f"{value}," for value in (*range(128), *range(-128, 0))]
    return np.array([list(text.ljust(5).encode()) for text in texts], np.uint8)


def _byte_rows(flat: np.ndarray) -> str:
    """Values in columns of one width, made by numpy: a loop over millions of them would take seconds."""
    full = len(flat) // _PER_LINE * _PER_LINE
    cells = _byte_texts()[flat.view(np.uint8)]
    lines = cells[:full].reshape(-1, 5 * _PER_LINE)
    lines = np.concatenate([lines, np.full((len(lines), 1), ord("\n"), np.uint8)], axis=1)
    rest = cells[full:].tobytes().decode().strip()
    return lines.tobytes().decode() + (f"{rest}\n" if rest else "")


def _source_words(
    network: Network, whole: Program, by_rows: Program | None, words: Mapping[str, str]
) -> dict[str, str]:
    tables = _Tables()
    calls = [node.call for node in network.nodes]
    weighted = [call for call in calls if "small" in call.fields]
    kinds = {call.kernel: call for call in calls}
    layers = [f"static const {c.kernel}_t layer_{k} = {{{_fields(c, tables)}}};\n" for k, c in enumerate(calls)]
    operations, place = [], 0
    for k, node in enumerate(network.nodes):
        operations.append(f"    {{{node.call.kernel}, &layer_{k}, {place}}}, /* {c_comment(node.label)} */\n")
        place += len(node.operands) + 1
    schedules = _schedule("at_once", whole, len(calls))
    if by_rows is not None:
        schedules += _schedule("by_rows", by_rows, len(calls))
    chosen = pieces(["types", *kinds])
    types = chosen.pop("types")
    return {
        "STRUCTS": "\n".join(_struct(call) for call in kinds.values()),
        "TYPES": types if calls else "typedef uint32_t place_t; /* no kernel has any */\n",
        "KERNELS": "\n".join(chosen.values()),
        "TABLES": "\n".join(tables.texts),
        "LAYERS": "".join(layers),
        "OPERATIONS": "".join(operations),
        "ALL_SMALL": str(int(all(call.fields["small"] for call in weighted))),
        "ALL_FULL": str(int(all((call.fields["low"], call.fields["high"]) == (-128, 127) for call in weighted))),
        "COUNT": str(max(len(calls), 1)),
        "SCHEDULES": schedules,
        "STEP_TYPE": "uint8_t" if len(calls) < 255 else "uint16_t",
        "COPY_IN": _copies_in(network, whole),
        "COPY_OUT": _copies_out(whole),
        "BY_ROWS": _rows_source(network, by_rows, words) if by_rows is not None else "",
    }


def _rows_source(network: Network, by_rows: Program, words: Mapping[str, str]) -> str:
    source = by_rows.places[-1][-1]
    count, index = len(network.nodes), f"at.row[{len(network.nodes)}]"
    wrapped = f" + {index} % {source.rows}u * {words['PREFIX']}_ROW_BYTES" if source.rows > 1 else ""
    more = {"ROWS_OUT": _copies_out(by_rows), "SOURCE": str(count), "ROW_AT": f"work + {source.at}{wrapped}"}
    return _template("rows.c.in", {**words, **more})


def _struct(call: Call) -> str:
    fields = "".join(f"    {_declaration(name, value)};\n" for name, value in call.fields.items())
    return f"typedef struct {{\n{fields}}} {call.kernel}_t;\n"


# Tables that may be absent are of int8 values in every kernel that has any.
def _declaration(name: str, value: Value) -> str:
    if isinstance(value, tuple):
        return f"int32_t {name}[{len(value)}]"
    if value is None:
        return f"const int8_t *{name}"
    return f"const {_C_TYPES[value.dtype.name]} *{name}" if isinstance(value, np.ndarray) else f"int32_t {name}"


def _fields(call: Call, tables: _Tables) -> str:
    words: list[str] = []
    for value in call.fields.values():
        if isinstance(value, tuple):
            words.append(f"{{{', '.join(map(str, value))}}}")
        elif value is None:
            words.append("NULL")
        else:
            words.append(tables.name(value) if isinstance(value, np.ndarray) else str(value))
    return ", ".join(words)


def _schedule(name: str, program: Program, count: int) -> str:
    kind = "uint8_t" if count < 255 else "uint16_t"
    # C has no array without elements, which a model that only renames its input would need.
    steps = [str(step) for step in program.steps] or ["0"]
    places = [f"{{{place.at}, {place.rows}}}" for node in program.places for place in node] if count else ["0"]
    moves = [f"{{{m.source}, {m.target}, {m.count}}}" for m in program.moves] or ["{0, 0, 0}"]
    runs = [f"{{{run.first}, {run.count}, {run.times}}}" for run in program.runs] or ["{0, 0, 0}"]
    parts = ", ".join(f"{name}_{what}" for what in ("runs", "steps", "places", "moves"))
    return "".join(
        f"static const {c_type} {name}_{what}[{len(words)}] = {{\n{_wrapped(words)}}};\n"
        for c_type, what, words in (
            (kind, "steps", steps),
            ("place_t", "places", places),
            ("move_t", "moves", moves),
            ("run_t", "runs", runs),
        )
    ) + (f"static const schedule_t {name} = {{{parts}, {len(program.runs)}}};\n\n")


def _wrapped(words: Sequence[str]) -> str:
    lines, line = list[str](), ""
    for word in words:
        if len(line) + len(word) > 110:
            lines.append(line)
            line = ""
        line += f"{word}, "
    return "".join(f"    {text.rstrip()}\n" for text in (*lines, line))


def _copies_in(network: Network, program: Program) -> str:
    """The copies of all inputs to their places, but where the caller has written each to its own."""
    read = _inputs_read(network)
    starts = np.cumsum([0, *(count for _, count in program.inputs)]).tolist()
    moves = [
        f"        memmove(work + {program.inputs[k][0]}, in + {starts[k]}, {program.inputs[k][1]});\n" for k in read
    ]
    return f"    if (in != work + {program.inputs[read[0]][0]}) {{\n{''.join(moves)}    }}\n"


def _copies_out(program: Program) -> str:
    lines: list[str] = []
    start = 0
    for at, count in program.outputs:
        lines.append(f"    memcpy(out + {start}, work + {at}, {count});\n")
        start += count
    return "".join(lines)
