"""What `import edgecut` offers: the same to Python, which loads it on first use, and to a type checker."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import edgecut
from edgecut import rooms


def told_to_type_checkers() -> dict[str, str]:
    """name -> the module that it is imported from, of the imports that are made for types alone."""
    tree = ast.parse(Path(edgecut.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    # "as" says that the name is meant for others.
    return {name.asname: node.module for node in block.body for name in node.names}


def test_a_type_checker_knows_every_public_name_from_where_it_is() -> None:
    homes = {**edgecut._HOMES, **{name: rooms.HOMES[name] for name in edgecut._CALLABLE_ROOMS}}
    assert told_to_type_checkers() == homes
    assert set(edgecut.__all__) == {"__version__", *homes}


def test_a_public_function_is_one_object_which_goes_to_other_processes() -> None:
    assert edgecut.build is edgecut.build
    assert pickle.loads(pickle.dumps(edgecut.build)) is edgecut.build


def test_a_type_checker_knows_no_other_name() -> None:
    """A module's __getattr__, seen by a type checker, would make every misspelt name right."""
    tree = ast.parse(Path(edgecut.__file__).read_text(encoding="utf-8"))
    assert "__getattr__" not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    (hidden,) = (node for node in tree.body if isinstance(node, ast.If) and "not TYPE" in ast.unparse(node.test))
    assert [node.name for node in hidden.body if isinstance(node, ast.FunctionDef)] == ["__getattr__"]
    assert (Path(edgecut.__file__).parent / "py.typed").is_file()
