"""What `import edgecut` offers has types that an editor completes: no parameter, result or attribute of one is Any."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Iterator

import pytest

from tests.house.test_docstrings import PUBLIC

pytestmark = pytest.mark.tensorflow  # the modules of public functions import Keras

MOST_PARAMETERS = 7


def function_of(name: str) -> typing.Callable[..., object]:
    return getattr(importlib.import_module(PUBLIC[name]), name)


def untyped(name: str) -> Iterator[str]:
    """Where a public function's types come to Any: its own, and those of the fields of edgecut's records in them."""
    pending = [(f"{name}: {key}", hint) for key, hint in typing.get_type_hints(function_of(name)).items()]
    reached = set()
    while pending:
        where, hint = pending.pop()
        if hint is typing.Any:
            yield where
        pending += [(where, part) for part in typing.get_args(hint)]
        if isinstance(hint, type) and hint.__module__.startswith("edgecut.") and hint not in reached:
            reached.add(hint)
            fields = typing.get_type_hints(hint)
            pending += [(f"{hint.__name__}.{key}", part) for key, part in fields.items() if not key.startswith("_")]


@pytest.mark.parametrize("name", PUBLIC)
def test_no_parameter_result_or_attribute_is_any(name: str) -> None:
    assert sorted(set(untyped(name))) == []


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_function_takes_at_most_seven_parameters_and_a_record_of_keywords(name: str) -> None:
    parameters = inspect.signature(function_of(name)).parameters.values()
    keywords = [p for p in parameters if p.kind is inspect.Parameter.VAR_KEYWORD]
    assert len(parameters) - len(keywords) <= MOST_PARAMETERS
    hints = typing.get_type_hints(function_of(name), include_extras=True)
    assert all(typing.is_typeddict(typing.get_args(hints[p.name])[0]) for p in keywords)
    assert all(typing.get_origin(hints[p.name]) is typing.Unpack for p in keywords)


def test_an_unknown_keyword_is_refused_as_python_refuses_it() -> None:
    """A record of keywords behind a function must not take a misspelt one in silence."""
    search = function_of("search")
    with pytest.raises(TypeError, match=r"^search\(\) got an unexpected keyword argument 'sises'$"):
        search("m.keras", "photos", sises=[(96, 96)])
    with pytest.raises(TypeError, match=r"^build\(\) got an unexpected keyword argument 'lokced'$"):
        function_of("build")("recipe.toml", lokced=True)
