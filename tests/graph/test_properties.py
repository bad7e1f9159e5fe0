"""Laws of surgery on random graphs: branches, shared and nested layers, several inputs and outputs."""

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecut import cut
from edgecut.errors import GraphError
from edgecut.graph.calls import calls
from edgecut.graph.cuts import cut_points, frontier
from edgecut.graph.edits import edit
from tests.graph.models import settle
from tests.graph.seen import inputs_of, outputs, same, wiring

pytestmark = pytest.mark.tensorflow

L = keras.layers
WIDTH = 4
KINDS = ("dense", "relu", "add", "concat", "shared", "nested", "operator", "norm", "split")


@st.composite
def recipes(draw):
    """(number of inputs, [(kind, the places of what it takes)], the places of the outputs)."""
    inputs = draw(st.integers(1, 2))
    steps = draw(
        st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=8)
    )
    ends = draw(st.lists(st.integers(0, 30), min_size=0, max_size=1))
    return inputs, steps, ends


def build(recipe):
    """The model that a recipe says; all tensors are (None, WIDTH), so that any two go together."""
    count, steps, ends = recipe
    tensors = [keras.Input((WIDTH,), name=f"in{k}") for k in range(count)]
    inputs = list(tensors)
    shared, x = L.Dense(WIDTH, name="shared"), keras.Input((WIDTH,))
    inner = keras.Model(x, L.Add(name="join")([x, L.Dense(WIDTH, name="dense")(x)]), name="nested")
    makers = {
        "dense": lambda a, b, k: [L.Dense(WIDTH, name=f"dense{k}")(a)],
        "relu": lambda a, b, k: [L.ReLU(name=f"relu{k}")(a)],
        "add": lambda a, b, k: [L.Add(name=f"add{k}")([a, b])],
        "concat": lambda a, b, k: [L.Dense(WIDTH, name=f"mix{k}")(L.Concatenate(name=f"concat{k}")([a, b]))],
        "shared": lambda a, b, k: [shared(a)],
        "nested": lambda a, b, k: [inner(a)],
        "operator": lambda a, b, k: [a - b * 0.5],
        "norm": lambda a, b, k: [L.BatchNormalization(name=f"norm{k}")(a)],
        "split": lambda a, b, k: [
            keras.ops.concatenate([part, part], axis=1) for part in keras.ops.split(a, 2, axis=1)
        ],
    }
    for k, (kind, a, b) in enumerate(steps):
        tensors += makers[kind](tensors[a % len(tensors)], tensors[-1 - b % len(tensors)], k)
    last = tensors[-1]
    for k, x in enumerate(inputs):  # every input counts
        last = L.Add(name=f"last{k}")([last, x])
    return settle(keras.Model(inputs, [last, *(tensors[end % len(tensors)] for end in ends)]))


small = settings(max_examples=25)


@small
@given(recipes())
def test_tail_after_head_is_the_model(recipe):
    """LAW: tail(head(x)) == model(x), bit by bit, for each tensor with what its start needs besides."""
    model = build(recipe)
    before, values = wiring(model), inputs_of(model)
    whole = outputs(model, values)
    for point in cut_points(model)[:: max(1, len(calls(model)) // 5)]:
        if not (point.legal_start or point.bypass):
            continue
        names = [point.name, *point.bypass]
        head = cut(model, to=names)
        taken = [
            x for x, tensor in zip(values, model.inputs, strict=True) if tensor.name in [i.name for i in head.inputs]
        ]
        tail = cut(model, start=names)
        assert same(outputs(tail, outputs(head, taken)), whole), names
    assert wiring(model) == before


@small
@given(recipes())
def test_a_drop_of_nothing_is_the_identity(recipe):
    """LAW: a copy, and a copy with an Identity inserted anywhere, compute the model."""
    model = build(recipe)
    values = inputs_of(model)
    whole = outputs(model, values)
    assert same(outputs(cut(model, drop=[]), values), whole)
    name = cut_points(model)[-1].name
    assert same(outputs(cut(model, insert=[(name, lambda x: x)]), values), whole)


@small
@given(recipes())
def test_an_illegal_start_is_refused_and_its_frontier_is_enough(recipe):
    """LAW: a start is refused unless legal, and what the refusal lacks is exactly what makes it legal."""
    model = build(recipe)
    graph = calls(model)
    for point in cut_points(graph):
        (tensor,) = graph.tensors(point.name)[1][:1]
        if point.legal_start:
            assert frontier(graph, [tensor]) == ()
            continue
        with pytest.raises(GraphError) as caught:
            cut(model, start=point.name)
        assert all(repr(name) in str(caught.value) for name in point.bypass)
        missing = [graph.tensors(name)[1][0] for name in point.bypass]
        assert not missing or frontier(graph, [tensor, *missing]) == ()
        assert not missing or all(frontier(graph, [tensor, *(x for x in missing if x is not one)]) for one in missing)


@small
@given(recipes())
def test_a_multi_tail_proves_itself(recipe):
    """LAW: a start with multi=True is bit-equal wherever any output depends on it."""
    model = build(recipe)
    for point in cut_points(model)[1 :: max(1, len(calls(model)) // 3)]:
        if point.legal_start or point.bypass:
            assert edit(model, start=point.name, multi=True).proof["exact"]
