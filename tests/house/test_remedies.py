"""Every option, command and recipe key that a message names exists."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from edgecut.cli.main import COMMANDS
from edgecut.records.recipe import Recipe

PACKAGE = Path(__file__).parents[2] / "edgecut"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+\b(?!=)")
KEY = re.compile(rf"(?<![\w./{{])({'|'.join(Recipe.model_fields)})\.([a-z_]+)\b(?!\.\w)(?=[ ,;:)=']|$)")
CALL = re.compile(r"edgecut ([a-z]+)([^;`\n]*)")
# Options of other programs that edgecut starts or names.
FOREIGN = {"--version", "--help"}
# Style sheets, whose variables look like options, and command lines of other programs.
OTHERS = {
    "bench/image.py",
    "bench/runners/vela.py",
    "handoff/provenance.py",
    "render/front_plot.py",
    "render/overview.py",
    "render/picture.py",
    "render/scatter.py",
}
FILES = {("source", "keras"), ("data", "data")}  # source.keras; TfLiteTensor's data.data


def commands() -> dict[str, click.Command]:
    return {
        name: importlib.import_module(f"edgecut.cli.{module}").command for name, (module, _) in COMMANDS.items()
    }  # fmt: skip


def options_of(command: click.Command) -> set[str]:
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    own = {name for parameter in command.params for name in parameter.opts}
    return own.union(*(options_of(child) for child in inner))


OPTIONS = {name: options_of(command) for name, command in commands().items()}


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """The text of each message in a module, f-strings with {} for their values; docstrings left out."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    parts = {id(child) for node in nodes if isinstance(node, ast.JoinedStr) for child in ast.walk(node)}
    plain = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            values = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield node.lineno, "".join(str(value) for value in values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (parts | plain):
            yield node.lineno, node.value


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).as_posix() not in OTHERS]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_messages_name_what_exists(path: Path) -> None:
    everywhere, faults = set().union(*OPTIONS.values()) | FOREIGN, []
    own = OPTIONS.get(path.stem, everywhere) | FOREIGN if path.parent.name == "cli" else everywhere
    for line, text in literals(path):
        calls = [(name, rest) for name, rest in CALL.findall(text) if name in OPTIONS]
        for name, rest in calls:
            faults += [(line, name, word) for word in OPTION.findall(rest) if word not in OPTIONS[name] | FOREIGN]
        alone = everywhere if calls else own
        faults += [(line, word) for word in OPTION.findall(text) if word not in alone]
        for table, key in KEY.findall(text):
            kind = Recipe.model_fields[table].annotation
            fields = getattr(kind, "model_fields", None) or next(
                (part.model_fields for part in getattr(kind, "__args__", ()) if hasattr(part, "model_fields")), {}
            )
            names = {*fields, *(str(field.alias) for field in fields.values())}
            faults += [(line, f"{table}.{key}")] if key not in names and (table, key) not in FILES else []
    assert faults == []
