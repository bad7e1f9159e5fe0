"""Tables as TOML text.

Not by tomli-w: its 1.2 writes each array over several lines, so 73 of 113 recipes, locks and profiles would be other
bytes (4,842 lines instead of 4,474); it refuses None; and it can't write one value on one line (`toml_value`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeGuard

from edgecut.records.escapes import OBEYED, terminal_line

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(tables: Mapping[str, object], remarks: Mapping[str, str] = MappingProxyType({})) -> str:
    """The TOML text of nested tables; reads back as the same data, less None values, which TOML hasn't.

    remarks: dotted path of a value, or of a row of a list of tables ("sources.0"), -> what is said of it, as a comment
    behind it.
    """
    return "\n".join(_lines(tables, (), remarks)).strip() + "\n"


def toml_value(value: object) -> str:
    """One value on one line; a table is written inline."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        parts = (f"{_key(key)} = {toml_value(v)}" for key, v in value.items() if v is not None)
        return f"{{{', '.join(parts)}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(toml_value(v) for v in value)}]"
    raise TypeError(f"TOML has no {type(value).__name__}: {value!r}")


def _lines(table: Mapping[str, object], path: tuple[str, ...], remarks: Mapping[str, str]) -> Iterator[str]:
    plain = {k: v for k, v in table.items() if not isinstance(v, Mapping) and not _is_table_list(v)}
    for key, value in plain.items():
        if value is not None:
            yield f"{_key(key)} = {toml_value(value)}" + _comment(remarks.get(".".join((*path, key))))
    for key, value in table.items():
        name = ".".join(_key(part) for part in (*path, key))
        if isinstance(value, Mapping):
            yield from ("", f"[{name}]")
            yield from _lines(value, (*path, key), remarks)
        elif _is_table_list(value):
            for number, row in enumerate(value):
                remark = remarks.get(".".join((*path, key, str(number))))
                yield from ("", f"[[{name}]]" + _comment(remark))
                yield from _lines(row, (*path, key), remarks)


def _comment(remark: str | None) -> str:
    return f"  # {terminal_line(remark)}" if remark else ""


def _is_table_list(value: object) -> TypeGuard[Sequence[Mapping[str, object]]]:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's but for DEL, which TOML wants escaped; with it the other signs that nobody sees.
    return OBEYED.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(sign: re.Match[str]) -> str:
    number = ord(sign[0])
    return f"\\u{number:04x}" if number < 1 << 16 else f"\\U{number:08x}"
