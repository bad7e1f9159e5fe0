"""The source model and the images, in the sizes and channels that a search asks for."""

from __future__ import annotations

import keras

from edgecut.errors import DataError, StemError
from edgecut.graph.callgraph import Calls
from edgecut.graph.calls import calls
from edgecut.images.dataset import Dataset
from edgecut.images.feed import ArrayFeed, Feed, PictureFeed
from edgecut.pipeline.build import edit
from edgecut.pipeline.cached import file_store
from edgecut.pipeline.images import dataset_of
from edgecut.pipeline.load import load_source
from edgecut.pipeline.stem import array_inputs
from edgecut.pipeline.values import Body, Source
from edgecut.records.progress import SILENT, Progress
from edgecut.search.request import Request, Size, stem_for, words


class Workbench:
    """The source model and the images, each read once, in the sizes and channels that a search asks for."""

    def __init__(self, request: Request, progress: Progress = SILENT) -> None:
        """Nothing is read yet."""
        self.request = request
        self.progress = progress
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
            feed: Feed = ArrayFeed(array_inputs(self.source.model.value), recipe.source.preprocess)
            if size is not None and channels is not None:
                feed = PictureFeed((*size, channels), recipe.source.preprocess, recipe.stem.pixels)
            dataset = dataset_of(recipe, feed, self.source.model, self.progress, file_store("search"))
            if dataset.train.labels is None or dataset.val.labels is None:
                raise DataError("data.train: has no labels to choose by; give class folders or an .npz with y_train")
            self._dataset = (size, channels, dataset)
        return self._dataset[2]

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
