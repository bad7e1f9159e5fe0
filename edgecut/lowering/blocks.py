"""What becomes of Keras layers that a converter writes as many operators: normalization over channels, attention."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgecut.graph.layer_call import LayerCall, UnsaidError
from edgecut.graph.tensor import Tensor
from edgecut.lowering.builder import GraphBuilder

# The arguments of MultiHeadAttention.call in order; others than the first three and `training` bring operators along.
_ATTENTION = (
    "query",
    "value",
    "key",
    "query_mask",
    "value_mask",
    "key_mask",
    "attention_mask",
    "return_attention_scores",
    "training",
)


def layer_normalization(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    """Mean, variance, and x * scale - mean * scale + beta, as TensorFlow's nn.batch_normalization orders it.

    A converter leaves a beta of zeros out, which an untrained layer has.
    """
    shape, x, said = call.shape, taken[0], call.config
    axes = {axis % max(len(shape), 1) for axis in call.numbers("axis")}
    small = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    if said.get("rms_scaling"):
        return work.chain((call.type,), taken, shape)
    mean = work.operator("MEAN", (x,), small)
    shift = work.operator("NEG", (mean,), small)
    variance = work.operator("MEAN", (work.operator("SQUARED_DIFFERENCE", (x, mean), shape),), small)
    scale = work.chain(("ADD", "RSQRT"), (variance,), small)
    scaled, centred = said.get("scale", True), said.get("center", True)
    if scaled:
        scale = work.operator("MUL", (scale,), shape)
    shift = work.operator("MUL", (scale, shift), shape if scaled else small)
    if centred and "beta" not in call.zeros:
        shift = work.operator("ADD", (shift,), shape)
    return work.operator("ADD", (work.operator("MUL", (x, scale), shape), shift), shape)


def attention(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    """Attention over the middle axis without masks: (batch, places, features); anything else isn't modelled."""
    shape, given = call.shape, _arguments(call)
    query, key, value = given.get("query"), given.get("key", given.get("value")), given.get("value")
    if query is None or key is None or value is None or not _is_plain(call, given) or len(call.outputs) > 1:
        return work.chain((call.type,), taken, shape)
    key_width = call.number("key_dim")
    value_width = key_width if call.config.get("value_dim") is None else call.number("value_dim")
    place = {tensor: number for tensor, number in zip(call.inputs, taken, strict=True)}
    heads, places, others = call.number("num_heads"), query.shape[1], key.shape[1]

    def split(source: Tensor, width: int) -> int:
        weights = (heads * width, int(source.shape[-1] or 1))
        flat = _dense(work, place[source], weights, (*source.shape[:2], heads * width))
        return work.operator("RESHAPE", (flat,), (*source.shape[:2], heads, width))

    if call.config.get("dropout"):
        # Keras takes the scale into the query's projection, and keys times queries.
        keys = work.operator("TRANSPOSE", (split(key, key_width),), (None, heads, others, key_width))
        queries = work.operator("TRANSPOSE", (split(query, key_width),), (None, heads, key_width, places))
        scores = work.operator("BATCH_MATMUL", (keys, queries), (None, heads, others, places))
        weights = work.chain(("TRANSPOSE", "SOFTMAX"), (scores,), (None, heads, places, others))
    else:
        keys, queries = split(key, key_width), split(query, key_width)
        queries = work.operator("TRANSPOSE", (queries,), (None, heads, places, key_width))
        keys = work.operator("TRANSPOSE", (keys,), (None, heads, key_width, others))
        scores = work.operator("BATCH_MATMUL", (queries, keys), (None, heads, places, others))
        weights = work.chain(("MUL", "SOFTMAX"), (scores,), (None, heads, places, others))
    values = split(value, value_width)
    values = work.operator("TRANSPOSE", (values,), (None, heads, others, value_width))
    mixed = work.operator("BATCH_MATMUL", (weights, values), (None, heads, places, value_width))
    mixed = work.operator("TRANSPOSE", (mixed,), (None, places, heads, value_width))
    width = heads * value_width
    mixed = work.operator("RESHAPE", (mixed,), (None, places, width))
    return _dense(work, mixed, (int(shape[-1] or 1), width), shape)


def einsum_dense(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    """A dense layer on the last axes, which are flattened where they are several; no other equation is modelled."""
    shape, source = call.shape, taken[0]
    given, weights, result = _equation(call)
    inner = sum(letter in given for letter in weights)
    if not given.endswith(weights[:inner]) or result != given[: len(given) - inner] + weights[inner:]:
        return work.chain((call.type,), taken, shape)
    sizes = _kernel_shape(call)
    matrix = (math.prod(sizes[inner:]), math.prod(sizes[:inner]))
    places = call.inputs[0].shape[:-inner]
    if inner > 1:
        maker, flat = work.maker(source), (*places, matrix[1])
        split = maker is not None and maker.name == "RESHAPE" and work.sole(call.inputs[0])
        if maker is not None and split and work.tensors[maker.inputs[0]].shape[1:] == flat[1:]:
            source = maker.inputs[0]  # flattening takes back what splitting did
        else:
            source = work.operator("RESHAPE", (source,), flat)
    source = _dense(work, source, matrix, (*places, matrix[0]))
    if len(sizes) > inner + 1:
        source = work.operator("RESHAPE", (source,), shape)
    return work.activation(call, source, shape)


def transpose(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    """The axes in another order, which matrix_product asks for."""
    axes = list(range(len(call.inputs[0].shape)))
    if call.type == "Permute":
        axes[1:] = call.numbers("dims")
    elif call.type == "Swapaxes" and axes:
        first, second = call.number("axis1"), call.number("axis2")
        if not {first, second} <= {*axes, *(-1 - axis for axis in axes)}:
            raise UnsaidError(f"{call.name}: axes {first} and {second}")
        axes[first], axes[second] = axes[second], axes[first]
    elif call.config.get("axes"):
        axes = list(call.numbers("axes"))
    else:
        axes = axes[::-1]
    return work.operator("TRANSPOSE", taken, call.shape, {"axes": tuple(axes)})


def matrix_product(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    """The product of two computed values, one of which may be turned: that is an option of the operator."""
    if len(taken) != 2 or len(call.inputs[1].shape) < 3:
        return work.operator(call.type, taken, call.shape)
    given, options = list(taken), {}
    for side, option in enumerate(("adjX", "adjY")):
        maker = work.maker(taken[side])
        if maker is not None and maker.name == "TRANSPOSE" and work.sole(call.inputs[side]):
            last = len(call.inputs[side].shape) - 1
            if maker.options.get("axes") == (*range(last - 1), last, last - 1):
                given[side], options[option] = maker.inputs[0], True
    return work.operator("BATCH_MATMUL", given, call.shape, options)


def _dense(work: GraphBuilder, source: int, weights: Sequence[int], shape: Sequence[int | None]) -> int:
    return work.operator("FULLY_CONNECTED", (source, work.constant(weights), work.constant(weights[:1])), shape)


def _arguments(call: LayerCall) -> dict[str, Tensor]:
    """The tensors that attention is given, by name. Raises UnsaidError if it is given anything that changes it."""
    given = {**dict(zip(_ATTENTION, call.args, strict=False)), **call.kwargs}
    given = {name: value for name, value in given.items() if value is not None and value is not False}
    tensors = {name: value for name, value in given.items() if isinstance(value, Tensor)}
    if not given.keys() <= {*tensors, "training"} or not tensors.keys() <= set(_ATTENTION[:3]):
        raise UnsaidError(f"{call.name}: {', '.join(given)}")
    return tensors


def _is_plain(call: LayerCall, given: Mapping[str, Tensor]) -> bool:
    special = any(call.config.get(name) for name in ("use_gate", "sliding_window"))
    return not special and {len(x.shape) for x in given.values()} == {3}


def _equation(call: LayerCall) -> tuple[str, str, str]:
    """The letters of the input's axes, the weights' and the output's. Raises UnsaidError if it isn't such."""
    parts = call.text("equation").replace("->", ",").split(",")
    if len(parts) != 3:
        raise UnsaidError(f"{call.name}: {call.text('equation')!r}")
    return parts[0], parts[1], parts[2]


def _kernel_shape(call: LayerCall) -> tuple[int, ...]:
    """The sizes of the weights' axes, which the input and the output have, too; an open one counts as 1.

    Raises UnsaidError if one is unknown.
    """
    given, weights, result = _equation(call)
    sizes = {
        **dict(zip(reversed(result), reversed(call.shape), strict=False)),
        **dict(zip(reversed(given), reversed(call.inputs[0].shape), strict=False)),
    }
    if not set(weights) <= sizes.keys():
        raise UnsaidError(f"{call.name}: {call.text('equation')!r}")
    return tuple(int(sizes[letter] or 1) for letter in weights)
