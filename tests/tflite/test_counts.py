"""Small files that describe more than any memory holds: their offsets name one table again and again."""

from __future__ import annotations

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgecut.errors import SourceError
from edgecut.tflite.counts import MOST_TABLES
from edgecut.tflite.flatbuffer import parse


def bomb(tensors: int, graphs: int, extents: int) -> bytes:
    """A file of one graph named `graphs` times, of one tensor named `tensors` times, with so long a shape."""
    builder = flatbuffers.Builder(1 << 16)
    schema.TensorStartShapeVector(builder, extents)
    for _ in range(extents):
        builder.PrependInt32(1)
    shape = builder.EndVector()
    schema.TensorStart(builder)
    schema.TensorAddShape(builder, shape)
    tensor = schema.TensorEnd(builder)
    schema.SubGraphStartTensorsVector(builder, tensors)
    for _ in range(tensors):
        builder.PrependUOffsetTRelative(tensor)
    vector = builder.EndVector()
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, vector)
    graph = schema.SubGraphEnd(builder)
    schema.ModelStartSubgraphsVector(builder, graphs)
    for _ in range(graphs):
        builder.PrependUOffsetTRelative(graph)
    vector = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddSubgraphs(builder, vector)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("tensors", "graphs", "extents"), [(1000, 1000, 1), (1, MOST_TABLES, 1), (1000, 1, 1000)], ids=str
)
def test_what_is_named_again_and_again_is_counted_each_time(tensors: int, graphs: int, extents: int) -> None:
    content = bomb(tensors, graphs, extents)
    with pytest.raises(SourceError) as refusal:
        parse(content, "m.tflite")
    assert str(refusal.value) == (
        f"m.tflite: describes more than 250,000 tensors and operators, or more numbers in them than its "
        f"{len(content):,} bytes hold; get it again from a source that you trust"
    )


def test_a_file_that_names_each_table_once_is_counted_and_read_on() -> None:
    with pytest.raises(SourceError, match="holds no graph"):
        parse(bomb(1, 1, 4), "m.tflite")
