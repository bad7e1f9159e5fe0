"""What onnx does to a model in native code, whose faults a foreign file can hit: done in the child process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from edgecut.errors import RunError
from edgecut.runtime.onnx_branches import inlined
from edgecut.sandbox.child import ChildDied, the_child
from edgecut.sandbox.wire import Header

if TYPE_CHECKING:
    import onnx

Pass = Literal["check", "infer", "infer values", "inline"]
"""check: the checker, which gives the model back. infer: types and shapes; with values: also through shapes that the
graph computes. inline: functions, and branches that are sure to be taken, put in place."""

_MOST_BYTES = 2**31 - 1  # of a protobuf message


class Refused(Exception):
    """onnx's own sentence about a model. by_inference: that the shapes contradict each other, and no more."""

    def __init__(self, message: str, *, by_inference: bool) -> None:
        """message: its first line."""
        super().__init__(message)
        self.by_inference = by_inference


def passed(pass_: Pass, model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """The model behind a pass.

    Raises Refused for what onnx refuses, RunError where it crashes, loops or takes more than the limits let it.
    """
    from onnx import ModelProto

    if model.ByteSize() > _MOST_BYTES:
        raise Refused("is over 2 GiB, which onnx takes no model of", by_inference=False)
    child, content = the_child(), model.SerializeToString()
    header = {"do": "onnx", "pass": pass_, "address_bytes": child.limits.address_bytes_for(len(content))}
    try:
        answer, arrays, _ = child.ask(header, [np.frombuffer(content, np.uint8)])
    except ChildDied as exc:
        raise RunError(f"{where}: {exc}") from exc
    if "error" in answer:
        raise Refused(answer["error"], by_inference=answer.get("by_inference", False))
    return ModelProto.FromString(arrays[0].tobytes())


def answer_of(header: Header, content: bytes) -> tuple[Header, list[np.ndarray]]:
    """What the child says: the model behind the pass, or {"error", "by_inference"}."""
    import onnx

    try:
        model = _behind(header["pass"], onnx.load_model_from_string(content))
    except onnx.shape_inference.InferenceError as exc:
        return {"error": _first_line(exc), "by_inference": True}, []
    except (onnx.checker.ValidationError, RuntimeError, ValueError) as exc:  # ValueError: a text that is no UTF-8
        return {"error": _first_line(exc)}, []
    return {}, [np.frombuffer(model.SerializeToString(), np.uint8)]


def _behind(pass_: Pass, model: onnx.ModelProto) -> onnx.ModelProto:
    import onnx

    if pass_ == "inline":
        return inlined(model)
    if pass_ == "check":
        onnx.checker.check_model(model)
        return model
    return onnx.shape_inference.infer_shapes(model, data_prop=pass_ == "infer values")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
