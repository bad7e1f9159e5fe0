"""What a SavedModel may do, read out of its file before TensorFlow loads it; no TensorFlow here either."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecut.errors import SourceError
from edgecut.graph.saved_functions import operator_fault


def field(number: int, content: bytes | str) -> bytes:
    body = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(body)) + body


def varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def node(operator: str, name: str = "n") -> bytes:
    return field(1, name) + field(2, operator)


def function(name: str, *operators: str, more: bytes = b"") -> bytes:
    return field(1, field(1, name)) + b"".join(field(3, node(op)) for op in operators) + more


def meta(nodes: list[bytes], functions: list[bytes], objects: bytes | None = b"\x0a\x00") -> bytes:
    graph = b"".join(field(1, n) for n in nodes) + field(2, b"".join(field(1, f) for f in functions))
    return field(2, graph) + (b"" if objects is None else field(7, objects))


def model(folder: Path, *metas: bytes) -> Path:
    (folder / "saved_model.pb").write_bytes(b"\x08\x01" + b"".join(field(2, m) for m in metas))
    return folder


END = "which may run or reach something outside of the model"
FOREIGN = [
    *("CacheDataset", "DataServiceDatasetV4", "DebugIdentity", "DecodeProtoV2", "DumpTensor", "EagerPyFunc"),
    *("FileSystemSetConfiguration", "ImmutableConst", "InitializeTableFromTextFileV2", "LoadAndRemapMatrix"),
    *(
        "MatchingFiles",
        "PrintV2",
        "PyFunc",
        "PyFuncStateless",
        "ReadFile",
        "RegisterDatasetV2",
        "RemoteCall",
        "Restore",
    ),
    *("RpcClient", "SaveDatasetV2", "SaveSlices", "SummaryWriter", "TakeDataset", "TextLineDataset", "WriteFile"),
    *("XlaCallModule", "XlaCustomCallV2", "my_package>Op"),
]
SAVER = function("__inference__traced_save_12", "SaveV2", "MergeV2Checkpoints", "ShardedFilename", "Const")


def test_what_computes_alone_is_let_pass(tmp_path: Path) -> None:
    functions = [function("serve", "Conv2D", "inner"), function("inner", "StatefulPartitionedCall", "ReadVariableOp")]
    folder = model(tmp_path, meta([node("Placeholder"), node("serve"), node("ShardedFilename")], [*functions, SAVER]))
    assert operator_fault(folder) is None


@pytest.mark.parametrize(
    "operator",
    FOREIGN,
)
def test_what_reaches_outside_is_refused_wherever_it_is(operator: str, tmp_path: Path) -> None:
    for metas in (
        [meta([], [function("serve", "Relu", operator)])],
        [meta([node(operator)], [function("serve", "Relu")])],
        [meta([], [function("serve", "Relu")]), meta([], [function("init", operator)])],
    ):
        fault = operator_fault(model(tmp_path, *metas))
        assert fault is not None
        assert fault.endswith(f"is the operator {operator}, {END}")


def test_the_sentence_names_the_function(tmp_path: Path) -> None:
    fault = operator_fault(model(tmp_path, meta([], [function("init", "WriteFile")])))
    assert fault == f"'n' of its function 'init' is the operator WriteFile, {END}"


@pytest.mark.parametrize(
    "metas",
    [
        pytest.param([meta([], [SAVER, function("serve", "__inference__traced_save_12")])], id="called"),
        pytest.param(
            [meta([], [SAVER, function("serve", "PartitionedCall", more=b"\x52\x1b__inference__traced_save_12")])],
            id="an attribute",
        ),
        pytest.param([meta([], [SAVER], objects=field(2, field(1, "__inference__traced_save_12")))], id="an object"),
        pytest.param([meta([], [SAVER], objects=None)], id="of TensorFlow 1"),
        pytest.param([meta([], [SAVER]), meta([], [])], id="two graphs"),
        pytest.param([meta([node("SaveV2")], [], objects=None)], id="a node of TensorFlow 1"),
        pytest.param([meta([], [function(f"save_{k:02}", "SaveV2") for k in range(17)])], id="many"),
    ],
)
def test_the_savers_operators_are_for_what_nobody_calls(metas: list[bytes], tmp_path: Path) -> None:
    assert operator_fault(model(tmp_path, *metas)) is not None


def test_a_graph_in_two_pieces_is_one(tmp_path: Path) -> None:
    """Protobuf joins a message that occurs twice, and of a text takes the last."""
    whole = meta([], [function("serve", "Relu")]) + field(2, field(2, field(1, function("init", "WriteFile"))))
    assert operator_fault(model(tmp_path, whole)) is not None
    twice = field(3, field(2, "Relu") + field(2, "WriteFile"))
    assert operator_fault(model(tmp_path, meta([], [field(1, field(1, "serve")) + twice]))) is not None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x12\x7f\x00", "a field is longer than the file"),
        (b"\x12" + b"\xff" * 1000, "a number has no end"),
        (b"\x13\x14", "a field is longer than the file"),
        (field(2, field(2, field(2, field(1, b"") * 2))), "a function has 0 names"),
        (field(2, field(2, field(2, field(1, function("a")) * 2))), "it has two functions 'a'"),
    ],
)
def test_a_damaged_file_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(SourceError) as refusal:
        operator_fault(tmp_path)
    path = tmp_path / "saved_model.pb"
    assert str(refusal.value) == f"{path}: is truncated or damaged ({said}); fetch or save it again"


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(SourceError, match="is empty; fetch or save it again"):
        operator_fault(tmp_path)
