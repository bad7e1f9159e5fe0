"""What LiteRT's own profiler tells of a file's operators while the whole file runs.

The Python of `ai-edge-litert` has no profiler, but the wheel's libLiteRt.so exports the C API that has one
(litert/c/litert_profiler.h, since 2.3), XNNPACK's operators included. This runs in a child process, which a library of
another form may crash without harm.
"""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from edgecut.bench.runtimes import random_input

NAMES = {"win32": "libLiteRt.dll", "darwin": "libLiteRt.dylib"}
CPU = 1  # kLiteRtHwAcceleratorCpu
WRITE = 1  # kLiteRtTensorBufferLockModeWrite
# LiteRtElementType (litert/c/litert_model_types.h), as TfLiteType.
DTYPES = {
    1: "float32",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    9: "int8",
    10: "float16",
    11: "float64",
}
OPERATOR, DELEGATED, DELEGATED_AS_OWN = 2, 4, 8  # LiteRtProfilerEventType
# A ProfiledEventData begins with tag, type, start and duration, and ends with two metadata and the source; what it says
# of memory in between differs by version, so its size is found out.
SIZES = range(72, 161, 8)
DURATION_AT, METADATA_FROM_END = 24, (24, 16)
# LiteRtRankedTensorType: an element type, then a layout of the rank, eight dimensions and eight strides.
LAYOUT_FROM, DIMENSIONS_FROM, TYPE_BYTES = 4, 8, 72
_NOTHING = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)


class Event(NamedTuple):
    """An operator's run. node: its number in the file, None where a delegate ran it by a number of its own."""

    name: str
    node: int | None
    seconds: float


class Profiled(NamedTuple):
    """A loaded file. run: without the profiler; events: those of one run with it, in order."""

    run: Callable[[], None]
    events: Callable[[], list[Event]]


class _File(NamedTuple):
    """A compiled file, and what calls LiteRT."""

    call: Callable[..., None]
    environment: ctypes.c_void_p
    compiled: ctypes.c_void_p
    signature: ctypes.c_void_p


def profiled(path: str, threads: int) -> Profiled:
    """The file, loaded with LiteRT's profiler. Raises RuntimeError where this LiteRT has none, or refuses the file."""
    call = _calls(_library())
    environment, model, options, compiled, signature, profiler = (ctypes.c_void_p() for _ in range(6))
    call("CreateEnvironment", ctypes.c_int(0), None, ctypes.byref(environment))
    call("CreateModelFromFile", environment, os.fsencode(path), ctypes.byref(model))
    call("CreateOptions", ctypes.byref(options))
    call("SetOptionsHardwareAccelerators", options, ctypes.c_int(CPU))
    said = {"xnnpack": f"num_threads = {threads}\n", "runtime_options_string": "enable_profiling = true\n"}
    texts = [ctypes.create_string_buffer(text.encode()) for text in said.values()]
    for name, text in zip(said, texts):  # noqa: B905 (Python 3.9)
        option = ctypes.c_void_p()
        call("CreateOpaqueOptions", name.encode(), text, _NOTHING, ctypes.byref(option))
        call("AddOpaqueOptions", options, option)
    call("CreateCompiledModel", environment, model, options, ctypes.byref(compiled))
    call("GetModelSignature", model, ctypes.c_size_t(0), ctypes.byref(signature))
    call("CompiledModelGetProfiler", compiled, ctypes.byref(profiler))
    if not profiler.value:
        raise RuntimeError("this LiteRT gives a file no profiler")
    file = _File(call, environment, compiled, signature)
    inputs, outputs = _inputs(file), _outputs(file)
    # The options are read when the file is compiled; their texts must live until then.
    del texts

    def run() -> None:
        call("RunCompiledModel", compiled, ctypes.c_size_t(0), *inputs, *outputs)

    def events() -> list[Event]:
        call("ResetProfiler", profiler)
        call("StartProfiler", profiler)
        run()
        call("StopProfiler", profiler)
        return _events(call, profiler)

    return Profiled(run, events)


def _library() -> ctypes.CDLL:
    place = importlib.util.find_spec("ai_edge_litert")
    if place is None or not place.submodule_search_locations:
        raise RuntimeError("the runtime is not ai-edge-litert, whose versions from 2.3 on have a profiler")
    path = os.path.join(next(iter(place.submodule_search_locations)), NAMES.get(sys.platform, "libLiteRt.so"))
    try:
        library = ctypes.CDLL(path)
    except OSError as exc:
        raise RuntimeError("this ai-edge-litert brings no library with a profiler; 2.3 and newer do") from exc
    if not hasattr(library, "LiteRtGetProfilerEvents"):
        raise RuntimeError("this ai-edge-litert has no profiler; 2.3 and newer do")
    return library


def _calls(library: ctypes.CDLL) -> Callable[..., None]:
    def call(name: str, *arguments: object) -> None:
        status = getattr(library, f"LiteRt{name}")(*arguments)
        if status:
            raise RuntimeError(f"LiteRT's compiled model refuses it: {name} ended with status {status}")

    return call


def _inputs(file: _File) -> tuple[ctypes.c_size_t, ctypes.Array[ctypes.c_void_p]]:
    """(how many, a buffer of random values for each), as the call that runs a file takes them; open sizes are 1."""
    count = _count(file, "Input")
    buffers = (ctypes.c_void_p * count.value)()
    for k in range(count.value):
        kind = _kind(file, "Input", k)
        sizes = (ctypes.c_int32 * (kind.raw[LAYOUT_FROM] & 0x7F)).from_buffer(kind, DIMENSIONS_FROM)
        if any(size < 0 for size in sizes):
            sizes[:] = [max(1, size) for size in sizes]
            file.call("CompiledModelResizeInputTensor", *_place(file, k), sizes, ctypes.c_size_t(len(sizes)))
        buffers[k] = _buffer(file, "Input", k, kind)
        _fill(file.call, ctypes.c_void_p(buffers[k]), int.from_bytes(kind.raw[:LAYOUT_FROM], sys.byteorder))
    return count, buffers


def _outputs(file: _File) -> tuple[ctypes.c_size_t, ctypes.Array[ctypes.c_void_p]]:
    """The same for what it writes, whose shapes follow from the inputs'."""
    count, layout_bytes = _count(file, "Output"), TYPE_BYTES - LAYOUT_FROM
    buffers = (ctypes.c_void_p * count.value)()
    layouts = ctypes.create_string_buffer(max(1, count.value) * layout_bytes)
    signature = ctypes.c_size_t(0)
    file.call("GetCompiledModelOutputTensorLayouts", file.compiled, signature, count, layouts, ctypes.c_bool(True))
    for k in range(count.value):
        kind = _kind(file, "Output", k)
        kind.raw = kind.raw[:LAYOUT_FROM] + layouts.raw[k * layout_bytes : (k + 1) * layout_bytes]
        buffers[k] = _buffer(file, "Output", k, kind)
    return count, buffers


def _count(file: _File, side: str) -> ctypes.c_size_t:
    count = ctypes.c_size_t()
    file.call(f"GetNumSignature{side}s", file.signature, ctypes.byref(count))
    return count


def _place(file: _File, k: int) -> tuple[ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]:
    return file.compiled, ctypes.c_size_t(0), ctypes.c_size_t(k)


def _kind(file: _File, side: str, k: int) -> ctypes.Array[ctypes.c_char]:
    """The LiteRtRankedTensorType of a tensor."""
    tensor, kind = ctypes.c_void_p(), ctypes.create_string_buffer(TYPE_BYTES)
    file.call(f"GetSignature{side}TensorByIndex", file.signature, ctypes.c_size_t(k), ctypes.byref(tensor))
    file.call("GetRankedTensorType", tensor, kind)
    return kind


def _buffer(file: _File, side: str, k: int, kind: ctypes.Array[ctypes.c_char]) -> int | None:
    needs, buffer = ctypes.c_void_p(), ctypes.c_void_p()
    file.call(f"GetCompiledModel{side}BufferRequirements", *_place(file, k), ctypes.byref(needs))
    file.call("CreateManagedTensorBufferFromRequirements", file.environment, kind, needs, ctypes.byref(buffer))
    return buffer.value


def _fill(call: Callable[..., None], buffer: ctypes.c_void_p, kind: int) -> None:
    if kind not in DTYPES:
        raise RuntimeError(f"an input is of element type {kind}, which has no random values")
    size, address, dtype = ctypes.c_size_t(), ctypes.c_void_p(), np.dtype(DTYPES[kind])
    call("GetTensorBufferPackedSize", buffer, ctypes.byref(size))
    content = random_input((size.value // dtype.itemsize,), dtype).tobytes()
    call("LockTensorBuffer", buffer, ctypes.byref(address), ctypes.c_int(WRITE))
    ctypes.memmove(address, content, len(content))
    call("UnlockTensorBuffer", buffer)


def _events(call: Callable[..., None], profiler: ctypes.c_void_p) -> list[Event]:
    count = ctypes.c_int()
    call("GetNumProfilerEvents", profiler, ctypes.byref(count))
    content = ctypes.create_string_buffer(max(1, count.value) * max(SIZES))
    call("GetProfilerEvents", profiler, ctypes.c_int(count.value), content)
    return read_events(content.raw, count.value, lambda address: ctypes.string_at(address).decode(errors="replace"))


def read_events(content: bytes, count: int, text_at: Callable[[int], str]) -> list[Event]:
    """The operators among the events that LiteRT wrote. text_at: the text at an address.

    Raises RuntimeError for bytes of another form, and for a file with loops or branches, of whose operators LiteRT
    tells both within and as a part of the whole.
    """
    words = memoryview(content).cast("Q")
    # One event alone would fit several sizes; a run tells of more: that it began, and of each operator.
    size = next((size for size in SIZES if count > 1 and _fits(words, count, size)), None)
    if size is None:
        raise RuntimeError("this LiteRT's profile has a form that isn't known")
    found = []
    for at in range(0, count * size, size):
        kind = words[at // 8 + 1] & 0xFFFFFFFF
        node, subgraph = (words[(at + size - back) // 8] for back in METADATA_FROM_END)
        if kind not in {OPERATOR, DELEGATED, DELEGATED_AS_OWN}:
            continue
        if kind == OPERATOR and subgraph:
            raise RuntimeError("it has loops or branches, whose operators LiteRT's profiler tells of twice")
        name = text_at(words[at // 8])
        found.append(Event(name, int(node) if kind == OPERATOR else None, words[(at + DURATION_AT) // 8] / 1e6))
    if not found:
        raise RuntimeError("LiteRT's profiler told of no operator")
    return found


def _fits(words: memoryview[int], count: int, size: int) -> bool:
    """Whether so many events of a size lie there: each of one kind with a text, and nothing behind the last."""
    starts = range(0, count * size // 8, size // 8)
    kinds = [words[start + 1] & 0xFFFFFFFF for start in starts]
    one_bit = all(kind and kind & (kind - 1) == 0 and kind <= 1 << 8 for kind in kinds)
    return one_bit and all(words[start] for start in starts) and not any(words[count * size // 8 :])


def same_order(runs: Sequence[Sequence[Event]]) -> list[tuple[Event, list[float]]]:
    """Each operator with its seconds in every run. Raises RuntimeError where runs have others."""
    found = []
    for events in itertools.zip_longest(*runs):
        first = events[0]
        if any(event is None or event[:2] != first[:2] for event in events):
            raise RuntimeError("LiteRT's profiler told of other operators from run to run")
        found.append((first, [event.seconds for event in events]))
    return found
