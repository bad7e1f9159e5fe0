"""What goes to a search's workers."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from edgecut.records.profile_files import find_profile
from edgecut.records.recipe import Data, Recipe, Source
from edgecut.search.request import Request
from edgecut.search.tasks import portable

pytestmark = pytest.mark.tensorflow


def test_files_go_by_their_full_names_and_listed_labels_as_they_are() -> None:
    recipe = Recipe(source=Source(model="m.keras", preprocess="tf"), data=Data(train="d.npz", labels=("cat", "dog")))
    request = Request(recipe, (find_profile("host"),), ((16, 16),), (3,), ("int8",), Path("out"))
    sent = pickle.loads(portable(request))
    assert (sent.recipe.source.model, sent.out) == (str(Path("m.keras").absolute()), Path("out").absolute())
    assert (sent.recipe.data.train, sent.recipe.data.labels) == (str(Path("d.npz").absolute()), ("cat", "dog"))
