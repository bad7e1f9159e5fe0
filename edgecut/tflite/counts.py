"""How much a .tflite file describes, counted before it is read: offsets may name one table a million times."""

from __future__ import annotations

from collections.abc import Iterator

from ai_edge_litert import schema_py_generated as schema

from edgecut.errors import SourceError

MOST_TABLES = 250_000
"""Tensors, operators and the like of a file; the largest of public models have some ten thousand."""


def check_counts(model: schema.Model, size_bytes: int, where: str) -> None:
    """Nothing, for a file of no more tables than MOST_TABLES, and no more numbers in them than it has bytes.

    Raises SourceError; what the schema's code raises for a damaged file passes.
    """
    tables = numbers = 0
    for more_tables, more_numbers in _counts(model):
        tables += more_tables
        numbers += more_numbers
        if tables > MOST_TABLES or numbers > size_bytes:
            raise SourceError(
                f"{where}: describes more than {MOST_TABLES:,} tensors and operators, or more numbers in them than its "
                f"{size_bytes:,} bytes hold; get it again from a source that you trust"
            )


def _counts(model: schema.Model) -> Iterator[tuple[int, int]]:
    """(tables, numbers) of one vector of tables after the other, before its tables are looked at."""
    yield model.SubgraphsLength() + model.OperatorCodesLength() + model.BuffersLength(), model.MetadataBufferLength()
    yield model.MetadataLength() + model.SignatureDefsLength(), 0
    for k in range(model.SignatureDefsLength()):
        yield model.SignatureDefs(k).InputsLength() + model.SignatureDefs(k).OutputsLength(), 0
    for k in range(model.SubgraphsLength()):
        graph = model.Subgraphs(k)
        yield graph.TensorsLength() + graph.OperatorsLength(), graph.InputsLength() + graph.OutputsLength()
        for j in range(graph.TensorsLength()):
            yield 0, _numbers(graph.Tensors(j))
        for j in range(graph.OperatorsLength()):
            op = graph.Operators(j)
            yield 0, op.InputsLength() + op.OutputsLength() + op.IntermediatesLength() + op.CustomOptionsLength()


def _numbers(tensor: schema.Tensor) -> int:
    scheme = tensor.Quantization()
    numbers = int(tensor.ShapeLength() + tensor.ShapeSignatureLength())
    if scheme is None:
        return numbers
    return numbers + int(scheme.ScaleLength() + scheme.ZeroPointLength() + scheme.MinLength() + scheme.MaxLength())
