"""A .tflite or .onnx file that a child process holds open and runs on arrays."""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from edgecut.errors import RunError
from edgecut.memory import out_of_memory
from edgecut.records.recipe import Format
from edgecut.runtime.worker import Key
from edgecut.sandbox.child import Child, ChildDied, death, the_child
from edgecut.sandbox.wire import Header

Kernels = Literal["default", "plain", "reference"]
"""How a runtime computes. plain: without what it does by itself to be quicker, LiteRT's XNNPACK delegate or ONNX
Runtime's graph optimizations; reference: LiteRT's plainest kernels."""
Feeds = Mapping[str, np.ndarray] | Mapping[int, np.ndarray] | Mapping[Key, np.ndarray]
_NAMES = {"tflite": "LiteRT", "onnx": "ONNX Runtime"}


def runtime_words(format_: Format, precision: str) -> str:
    """What runs a file on this host by default, with its kernels: XNNPACK takes none of 16-bit integers."""
    is_delegated = format_ == "tflite" and precision != "int16x8"
    return f"{_NAMES[format_]} with XNNPACK" if is_delegated else _NAMES[format_]


class Session:
    """A file in its runtime. inputs, outputs: the tensors' keys in its order, indices in .tflite, names in .onnx."""

    def __init__(
        self,
        model: Path | bytes,
        format_: Format,
        where: str,
        *,
        kernels: Kernels = "default",
        threads: int = 1,
        whole: bool = False,
        expose: Sequence[str] = (),
    ) -> None:
        """Load a file or its content. where: what an error begins with.

        whole: keep every tensor of a .tflite file after a run, not only its outputs (with "plain" kernels: a tensor
        inside of a delegate isn't there to be read). expose: tensors of an .onnx file, by path, that it puts out, too.
        Raises RunError if the runtime refuses it, or dies of it.
        """
        self.where, self._runtime = where, _NAMES[format_]
        self._content = [np.frombuffer(model, np.uint8)] if isinstance(model, bytes) else []
        path = None if isinstance(model, bytes) else model.absolute()
        self._size_bytes = len(model) if isinstance(model, bytes) else model.stat().st_size
        self._open: Header = {
            "do": "open",
            "format": format_,
            "path": None if path is None else str(path),
            "kernels": kernels,
            "threads": threads,
            "whole": whole,
            "expose": list(expose),
        }
        self._child, self._number = self._opened()

    def run(self, feeds: Feeds, fetch: Sequence[Key]) -> list[np.ndarray]:
        """The tensors `fetch` after one run; variables start anew. Raises RunError."""
        stacked = {key: array[None] for key, array in feeds.items()}
        return [array[0] for array in self.run_each(stacked, fetch)]

    def run_each(self, feeds: Feeds, fetch: Sequence[Key]) -> list[np.ndarray]:
        """The tensors `fetch` after each of k runs, (k, ...) each, for feeds (k, ...). Raises RunError."""
        return self._each("run", feeds, fetch)

    def extremes(self, feeds: Feeds, keys: Sequence[Key]) -> np.ndarray:
        """The least and the largest element of tensors after each of k runs, (k, tensors, 2), for feeds (k, ...).

        For a .tflite file that is whole. nan where one is. Raises RunError.
        """
        return self._each("extremes", feeds, keys)[0]

    def _each(self, do: str, feeds: Feeds, fetch: Sequence[Key]) -> list[np.ndarray]:
        if self._child is not the_child():
            self._child, self._number = self._opened()
        runs = {len(array) for array in feeds.values()} or {1}
        header = {"do": do, "file": self._number, "feeds": list(feeds), "fetch": list(fetch), "runs": max(runs)}
        return self._ask(self._child, header, list(feeds.values()), "failed while running it")[1]

    def read(self, keys: Sequence[Key]) -> list[np.ndarray]:
        """Tensors of a .tflite file as the last run left them, before which `run` was called. Raises RunError."""
        header = {"do": "read", "file": self._number, "fetch": list(keys)}
        return self._ask(self._child, header, [], "can't give a tensor of it")[1]

    def _opened(self) -> tuple[Child, int]:
        child = the_child()
        number = child.number()
        header = {**self._open, "file": number, "address_bytes": child.limits.address_bytes_for(self._size_bytes)}
        answer, _ = self._ask(child, header, self._content, "can't run it")
        self.inputs: tuple[Key, ...] = tuple(answer["inputs"])
        self.outputs: tuple[Key, ...] = tuple(answer["outputs"])
        weakref.finalize(self, child.unused.append, number).atexit = False
        return child, number

    def _ask(
        self, child: Child, header: Header, arrays: Sequence[np.ndarray], what: str
    ) -> tuple[Header, list[np.ndarray]]:
        try:
            answer, values, noise = child.ask(header, arrays)
        except ChildDied as exc:
            raise RunError(f"{self.where}: {exc}") from exc
        if "error" in answer and out_of_memory(answer["error"]):
            raise RunError(f"{self.where}: {death(None, noise, child.limits)}")
        if "error" in answer:
            details = " ".join(line for line in noise.splitlines() if line.startswith("ERROR"))
            said = first_line(answer["error"])
            raise RunError(f"{self.where}: {self._runtime} {what}: {said} {details}".rstrip())
        return answer, values


_LOADING = re.compile(r"Load model from .*? failed: ?")  # ONNX Runtime's


def first_line(error: BaseException | str) -> str:
    """The first line of a runtime's message that says something, without its full stop and the name of its file.

    That is of a temporary file, mostly; whoever says the line names the user's.
    """
    lines = [line.strip() for line in _LOADING.sub("", str(error)).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0].rstrip(".")[:300]
