"""A function of a SavedModel that never ends is ended: by the limit of time, and by a signal."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgecut.errors import SourceError
from edgecut.source.exported import load_exported

pytestmark = pytest.mark.tensorflow

IMAGE = np.zeros((1, 4), np.float32)


def endless(start: tf.Tensor) -> tf.Tensor:
    return tf.while_loop(lambda number: number < 1 << 60, lambda number: (number + 1,), [start])[0]


class Resource(tf.saved_model.experimental.TrackableResource):
    """A resource whose initializer, which runs when the model is loaded, never ends."""

    def __init__(self, number: tf.Variable) -> None:
        super().__init__()
        self.number = number

    def _create_resource(self) -> tf.Tensor:
        return tf.raw_ops.VarHandleOp(dtype=tf.int32, shape=[], shared_name="endless")

    def _initialize(self) -> None:
        if not tf.executing_eagerly():  # not here, where it is made
            self.number.assign(endless(tf.constant(0, tf.int64)))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders "load" and "call", whose loops run then."""
    folder = tmp_path_factory.mktemp("endless")
    signature = [tf.TensorSpec([1, 4], tf.float32, name="x")]
    for name in ("load", "call"):
        module = tf.Module()
        if name == "load":
            module.number = tf.Variable(tf.constant(0, tf.int64))
            module.resource = Resource(module.number)
            serve = tf.function(lambda x: {"y": x}, signature)
        else:
            serve = tf.function(
                lambda x: {"y": x + tf.cast(endless(tf.cast(tf.reduce_sum(x), tf.int64)), tf.float32)}, signature
            )
        tf.saved_model.save(module, folder / name, signatures={"serving_default": serve})
    return folder


@pytest.fixture(scope="module")
def model(folders: Path) -> keras.Model:
    return load_exported(str(folders / "call"))


def sentence(folder: Path) -> str:
    return (
        f"{folder}: its functions ran for 1 s; a loop in them may have no end, else EDGECUT_LIMITS='seconds=2' raises "
        "the limit"
    )


def test_an_initializer_without_an_end_is_ended_by_the_limit(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", "seconds=1")
    with pytest.raises(SourceError) as caught:
        load_exported(str(folders / "load"))
    assert str(caught.value) == sentence(folders / "load")


def test_a_call_without_an_end_is_ended_by_the_limit(
    model: keras.Model, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECUT_LIMITS", "seconds=1")
    with pytest.raises(SourceError) as caught:
        model(IMAGE)
    assert str(caught.value) == sentence(folders / "call")


def test_a_signal_ends_a_call_without_an_end(model: keras.Model) -> None:
    """Python itself would answer it when the call returns."""

    def call() -> None:
        threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()
        model(IMAGE)

    with pytest.raises(KeyboardInterrupt):
        call()
