"""The source model and the images, in the sizes and channels that a search asks for."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np

from edgecut.errors import DataError, StemError
from edgecut.graph.callgraph import Calls
from edgecut.graph.calls import calls
from edgecut.graph.features import Forward, forward_of, poolable, pooled_model, predict_each
from edgecut.images.dataset import Dataset, check_classes, index_data
from edgecut.images.feed import ArrayFeed, Feed, PictureFeed
from edgecut.images.sources import PictureSource
from edgecut.images.targets import UNLABELLED
from edgecut.pipeline.build import edit
from edgecut.pipeline.cached import file_store
from edgecut.pipeline.images import dataset_of, picture_form
from edgecut.pipeline.load import load_source
from edgecut.pipeline.stem import array_inputs
from edgecut.pipeline.values import Body, Source
from edgecut.records.progress import SILENT, Progress
from edgecut.search.request import Request, Size, stem_for, words

_NO_LABELS = "data.train: has no labels to choose by; give class folders or an .npz with y_train"


class Workbench:
    """The source model and the images, each read once, in the sizes and channels that a search asks for."""

    def __init__(self, request: Request, progress: Progress = SILENT, *, in_parts: bool = False) -> None:
        """Nothing is read yet. in_parts: whether others look at most of the images, so that each part is read alone."""
        self.request = request
        self.progress = progress
        self.in_parts = in_parts and request.recipe.data.target not in UNLABELLED
        self._index: tuple[PictureSource, Dataset] | None = None
        self._forward: tuple[Size | None, int | None, Forward] | None = None
        self._source: Source | None = None
        self._body: tuple[Size | None, int | None, Body] | None = None
        self._dataset: tuple[Size | None, int | None, Dataset] | None = None

    @property
    def source(self) -> Source:
        """The source model as it is."""
        if self._source is None:
            self._source = load_source(self.request.recipe, self.progress).value
        return self._source

    def body(self, size: Size | None, channels: int | None) -> Body:
        """The whole source with the stem of a size and channels. Raises StemError where it can't take them."""
        if self._body is None or self._body[:2] != (size, channels):
            self._body = None
            recipe = self.request.recipe
            stem = stem_for(recipe, size, channels)
            with self.progress.task(f"stem {words(size, channels)}"):
                body = edit(self.source, recipe.model_copy(update={"stem": stem}), self.progress).value
            self._body = (size, channels, body)
        return self._body[2]

    def images(self, size: Size | None, channels: int | None) -> Dataset:
        """The images of that size and channels, or the arrays. Raises DataError for images that can't be used."""
        if self._dataset is None or self._dataset[:2] != (size, channels):
            self._dataset = None
            recipe = self.request.recipe
            dataset = dataset_of(
                recipe, self._feed(size, channels), self.source.model, self.progress, file_store("search")
            )
            if dataset.train.labels is None or dataset.val.labels is None:
                raise DataError(_NO_LABELS)
            self._dataset = (size, channels, dataset)
        return self._dataset[2]

    def training_labels(self, size: Size | None, channels: int | None) -> np.ndarray:
        """The labels of the training images, (n,), or targets, (n, outputs)."""
        return np.asarray(self._labelled(size, channels).train.labels)

    def outputs(self, size: Size | None, channels: int | None) -> int:
        """How many outputs a head has."""
        return outputs_of(self._labelled(size, channels))

    def counts(self, size: Size | None, channels: int | None) -> dict[str, int]:
        """How many images each part has."""
        dataset = self._labelled(size, channels)
        return {"train": len(dataset.train.pixels), "held_out": len(dataset.val.pixels)}

    def training_rows(self, size: Size | None, channels: int | None, which: np.ndarray | slice) -> np.ndarray:
        """Some of the training images, or of the arrays, as the device gives them."""
        if not self.in_parts or (self._dataset is not None and self._dataset[:2] == (size, channels)):
            return np.asarray(self.images(size, channels).train.pixels)[which]
        source, dataset = self._indexed()
        chosen, store = dataset.train.pixels[which], file_store("search")
        feed = self._feed(size, channels)
        if isinstance(feed, ArrayFeed):
            return source.rows(chosen, store=store, progress=self.progress)
        return source.read(chosen, picture_form(self.request.recipe, feed), store=store, progress=self.progress)

    def pooled(self, size: Size | None, channels: int | None, rows: np.ndarray) -> Iterator[list[np.ndarray]]:
        """The pooled features of all cuts for rows as the device gives them, batch by batch."""
        feed = self.body(size, channels).feed
        if self._forward is None or self._forward[:2] != (size, channels):
            graph = self.graph(size, channels)
            self._forward = (size, channels, forward_of(pooled_model(graph, poolable(graph))))
        title = f"forward pass {words(size, channels)}"
        return predict_each(self._forward[2], rows, feed.values, title=title, progress=self.progress)

    def _labelled(self, size: Size | None, channels: int | None) -> Dataset:
        """The dataset with labels; its images may be their indices."""
        if self.request.recipe.data.target in UNLABELLED:  # the model's own answers
            return self.images(size, channels)
        return self._indexed()[1]

    def _indexed(self) -> tuple[PictureSource, Dataset]:
        if self._index is None:
            recipe, inputs = self.request.recipe, None
            if self.request.sizes == (None,):
                inputs = array_inputs(self.source.model.value)
            source, dataset = index_data(recipe.data, inputs, partial=recipe.head is None)
            if dataset.train.labels is None or dataset.val.labels is None:
                raise DataError(_NO_LABELS)
            self._index = source, dataset if recipe.head is None else check_classes(dataset, recipe.head.classes)
        return self._index

    def _feed(self, size: Size | None, channels: int | None) -> Feed:
        recipe = self.request.recipe
        if size is None or channels is None:
            return ArrayFeed(array_inputs(self.source.model.value), recipe.source.preprocess)
        return PictureFeed((*size, channels), recipe.source.preprocess, recipe.stem.pixels)

    def graph(self, size: Size | None, channels: int | None) -> Calls:
        """The calls of the source with that stem."""
        return calls(self.body(size, channels).model.value)

    def source_names(self) -> frozenset[str]:
        """The tensors that the source has, by which alone a recipe can cut: a stem brings others of its own."""
        return frozenset(calls(self.source.model.value).tensor_name.values())


def outputs_of(dataset: Dataset) -> int:
    """How many outputs a head for the images has: a class each, or a value for each target."""
    labels = dataset.train.labels
    return labels.shape[1] if labels is not None and labels.ndim == 2 else len(dataset.labels)


def own_size(model: keras.Model) -> tuple[Size, int]:
    """((height, width), channels) of the model's own input. Raises StemError where it takes no image of fixed size."""
    shape = tuple(model.inputs[0].shape) if len(model.inputs) == 1 else ()
    if len(shape) != 4 or None in shape[1:]:
        raise StemError(f"search: the model takes {shape}; say what the device feeds (--sizes HxW --channels N)")
    return (shape[1], shape[2]), shape[3]
