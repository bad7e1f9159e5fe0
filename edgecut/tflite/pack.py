"""A .tflite file as the schema's objects, to be changed and packed again as kernels need it."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecut.errors import SourceError
from edgecut.tflite.flatbuffer import IDENTIFIER

ALIGNMENT = 16  # schema.fbs: `data:[ubyte] (force_align: 16)`; kernels rely on it


def unpacked(content: bytes) -> schema.ModelT:
    """The schema's ModelT of a .tflite file, all data inside it.

    Raises SourceError if the file keeps weights in other files.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    if getattr(model, "externalBuffers", None):
        raise SourceError("model: keeps weights in other files (external buffers); a file in one piece is expected")
    _inline_buffers(model, content)
    return model


def packed(model: schema.ModelT) -> bytes:
    """The file of a ModelT; its buffers must be AlignedBuffers where kernels read them."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def unshared(content: bytes) -> bytes:
    """The same model with a buffer of its own for each constant, the same bytes if it has them already."""
    model = unpacked(content)
    seen: set[int] = set()
    buffers = [model.buffers[0], *(AlignedBuffer(b.data) if _is_full(b) else b for b in model.buffers[1:])]
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            if tensor.buffer in seen and _is_full(model.buffers[tensor.buffer]):
                buffers.append(AlignedBuffer(model.buffers[tensor.buffer].data))
                tensor.buffer = len(buffers) - 1
            seen.add(tensor.buffer)
    if len(buffers) == len(model.buffers):
        return content
    model.buffers = buffers
    return packed(model)


class AlignedBuffer(schema.BufferT):
    """A buffer that is packed on a 16-byte boundary; the generated packer would put it on any byte."""

    def __init__(self, data: np.ndarray) -> None:
        """data: the bytes, as an array of any dtype or a sequence of bytes."""
        super().__init__()
        self.data = np.ascontiguousarray(data, np.uint8)

    def Pack(self, builder: flatbuffers.Builder) -> int:
        """Write the buffer; the place of its table."""
        builder.StartVector(1, len(self.data), ALIGNMENT)
        builder.head -= len(self.data)
        builder.Bytes[builder.head : builder.head + len(self.data)] = self.data.tobytes()
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


def _is_full(buffer: schema.BufferT) -> bool:
    return buffer.data is not None and len(buffer.data) > 0


def _inline_buffers(model: schema.ModelT, content: bytes) -> None:
    """Bring data that lies behind the flatbuffer (files beyond 2 GB, or made with offsets) into the buffers."""
    whole = np.frombuffer(content, np.uint8)
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = whole[buffer.offset : buffer.offset + buffer.size]
        buffer.offset = buffer.size = 0
    for subgraph in model.subgraphs:
        for operator in subgraph.operators or ():
            if operator.largeCustomOptionsOffset > 1:
                first = operator.largeCustomOptionsOffset
                operator.customOptions = whole[first : first + operator.largeCustomOptionsSize]
            operator.largeCustomOptionsOffset = operator.largeCustomOptionsSize = 0
