"""Messages between this process and the child that runs files: a JSON header and the arrays' own bytes."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

Header = dict[str, Any]  # JSON, whose keys are said where a message is made


def send(stream: IO[bytes], header: Mapping[str, object], arrays: Sequence[np.ndarray] = ()) -> None:
    """Write one message. Raises OSError if nobody reads, ValueError for arrays of objects that are no text."""
    ready = [np.ascontiguousarray(_plain(array)) for array in arrays]
    forms = [
        (array.dtype.str if array.dtype.kind in "SU" else array.dtype.name, np.shape(source))
        for array, source in zip(ready, arrays, strict=True)
    ]
    text = json.dumps({**header, "arrays": forms}).encode()
    stream.write(struct.pack("<Q", len(text)) + text)
    for array in ready:
        if array.nbytes:
            stream.write(array.reshape(-1).view(np.uint8).data)
    stream.flush()


def receive(stream: io.BufferedReader) -> tuple[Header, list[np.ndarray]] | None:
    """The next message, None where the stream ends before or within it."""
    size = stream.read(8)
    if len(size) < 8:
        return None
    text = stream.read(struct.unpack("<Q", size)[0])
    try:
        header: Header = json.loads(text)
    except ValueError:
        return None
    arrays = []
    for name, shape in header.pop("arrays"):
        array = np.empty(shape, numpy_dtype(name))
        if array.nbytes and stream.readinto(array.reshape(-1).view(np.uint8).data) < array.nbytes:
            return None
        arrays.append(array)
    return header, arrays


def _plain(array: np.ndarray) -> np.ndarray:
    """The array without Python objects: texts have a width of their own."""
    if not array.dtype.hasobject:
        return array
    kinds = {type(element) for element in array.reshape(-1)}
    if kinds - {str, bytes}:
        raise ValueError(f"holds objects of {', '.join(sorted(kind.__name__ for kind in kinds))}, not numbers or text")
    return array.astype("S" if bytes in kinds else "U")


def numpy_dtype(name: str) -> np.dtype:
    """A dtype by the name that numpy, ONNX or TFLite gives it. Raises ValueError for one that numpy can't hold."""
    if name in {"string", "object"}:
        return np.dtype(str)
    try:
        return np.dtype(name)
    except TypeError:  # bfloat16, int4 and such are ml_dtypes', which numpy knows once it is imported
        import ml_dtypes

        if not hasattr(ml_dtypes, name):
            raise ValueError(f"{name!r} is no type that numpy holds") from None
        return np.dtype(getattr(ml_dtypes, name))
