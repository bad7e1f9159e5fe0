"""LAWS: each cut of each kind of model is bit-equal; each tail completes its head; the source is left as it was."""

import keras
import pytest

from edgecut.errors import GraphError
from edgecut.graph.calls import calls
from edgecut.graph.cuts import cut_points
from edgecut.graph.edits import edit
from edgecut.graph.saving import save
from tests.graph import odd_models
from tests.graph.seen import same, weights, wiring

pytestmark = pytest.mark.tensorflow

EXACT = {"inputs": 8, "max_abs_error": 0.0, "exact": True}


@pytest.mark.parametrize("build", odd_models.ALL)
def test_every_cut_and_every_tail_of_any_model_is_bit_equal(build):
    model = odd_models.make(build)
    before, held = wiring(model), weights(model)
    copy = edit(model)
    assert copy.proof == EXACT
    assert copy.weights_dropped == 0
    assert not {id(variable) for variable in model.variables} & {id(variable) for variable in copy.model.variables}
    graph = calls(model)
    keras.tree.assert_same_structure(graph.inputs, copy.model._inputs_struct)
    keras.tree.assert_same_structure(graph.outputs, copy.model._outputs_struct)
    for point in (point for point in cut_points(model) if point.type != "InputLayer"):
        assert edit(model, to=point.name).proof == EXACT, point.name
        if point.legal_start:
            assert edit(model, start=point.name).proof == EXACT, point.name
        elif point.bypass:
            with pytest.raises(GraphError, match="the rest also needs"):
                edit(model, start=point.name)
            assert edit(model, start=point.name, multi=True).proof == EXACT, point.name
    assert wiring(model) == before
    assert same(held, weights(model))


SAVED = [build for build in odd_models.ALL if build is not odd_models.custom_functions]  # a lambda has no name to save


@pytest.mark.parametrize("build", SAVED)
def test_a_tail_can_be_saved_loaded_and_cut_again(build, tmp_path):
    model = odd_models.make(build)
    point = next(p for p in cut_points(model)[::-1] if p.type != "InputLayer" and (p.legal_start or p.bypass))
    for options in ({"to": point.name}, {"start": point.name, "multi": True}):
        part = edit(model, **options).model
        assert save(part, tmp_path / "part.keras")["exact"]
        with keras.saving.custom_object_scope(vars(odd_models)):
            loaded = keras.models.load_model(tmp_path / "part.keras", safe_mode=False)
        assert edit(loaded).proof == EXACT
