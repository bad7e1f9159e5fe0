"""The source edited for an input once, and loaded by all others: proving a stem takes longer than many a pass."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

from edgecut.cache.store import Store
from edgecut.errors import StepError
from edgecut.pipeline.codecs import BodyCodec
from edgecut.pipeline.values import Body, Source
from edgecut.records.recipe import Recipe
from edgecut.whole import scratch_folder

_KIND = "edited"


def edited_body(store: Store, source: Source, recipe: Recipe, make: Callable[[], Body]) -> Body:
    """The source with the recipe's stem: as it lies in the store, else what `make` gives, which is then put there."""
    codec = BodyCodec(recipe)
    with scratch_folder(prefix="edgecut-search-") as folder:
        document = store.get(_KIND, folder, **_facts(recipe))
        if document is not None:
            with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):  # no codec wrote it
                body = replace(codec.decode(document, folder), source=source)
                body.model.value  # noqa: B018 - it is loaded while its file is there
                return body
        body = make()
        with contextlib.suppress(StepError):  # a model that can't be saved is edited by each
            document, files = codec.encode(body, folder)
            store.put(_KIND, document, files, **_facts(recipe))
    return body


def has_edited(store: Store, recipe: Recipe) -> bool:
    """Whether it lies in the store."""
    return store.get(_KIND, None, **_facts(recipe)) is not None


def drop_edited(store: Store, recipe: Recipe) -> None:
    """Remove it from the store."""
    store.drop(_KIND, **_facts(recipe))


def _facts(recipe: Recipe) -> dict[str, object]:
    return {"stem": recipe.stem.to_dict()}
