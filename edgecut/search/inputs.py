"""The source model and the images, in the sizes and channels that a search asks for."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np

from edgecut.cache.store import Store
from edgecut.errors import DataError, StemError
from edgecut.graph.callgraph import Calls
from edgecut.graph.calls import calls
from edgecut.graph.features import Forward, forward_of, poolable, pooled_model, predict_each
from edgecut.images.by_parts import PartReader
from edgecut.images.dataset import Dataset, check_classes, index_data
from edgecut.images.device import PictureForm
from edgecut.images.feed import ArrayFeed, Feed, PictureFeed
from edgecut.images.sources import PictureSource
from edgecut.images.targets import UNLABELLED
from edgecut.pipeline.build import edit
from edgecut.pipeline.cached import file_store
from edgecut.pipeline.images import dataset_of, feature_model, picture_form, source_feed, source_form
from edgecut.pipeline.load import load_source
from edgecut.pipeline.stem import array_inputs
from edgecut.pipeline.values import Body, Source
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Recipe
from edgecut.search.edited import drop_edited, edited_body, has_edited
from edgecut.search.parts import targets_of
from edgecut.search.request import Request, Size, stem_for, words
from edgecut.search.targets import leading

_NO_LABELS = "data.train: has no labels to choose by; give class folders or an .npz with y_train"


class Workbench:
    """The source model and the images, each read once, in the sizes and channels that a search asks for."""

    def __init__(self, request: Request, store: Store, progress: Progress = SILENT, *, in_parts: bool = False) -> None:
        """Nothing is read yet. store: what all who take part share, for what a pass leaves to probes (parts.py).

        in_parts: whether others have most of the images, so that each part is read alone.
        """
        self.request = request
        self.store = store
        self.progress = progress
        self._in_parts = in_parts
        self._index: tuple[PictureSource, Dataset] | None = None
        self._forward: tuple[Size | None, int | None, Forward] | None = None
        self._teacher: tuple[Feed, Forward] | None = None
        self._source: Source | None = None
        self._body: tuple[Size | None, int | None, Body] | None = None
        self._dataset: tuple[Size | None, int | None, Dataset] | None = None
        self._reader: PartReader | None = None
        self._targets: np.ndarray | None = None

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
            recipe = self._fed(size, channels)

            def edited() -> Body:
                with self.progress.task(f"stem {words(size, channels)}"):
                    return edit(self.source, recipe, self.progress).value

            body = edited_body(self.store, self.source, recipe, edited)
            self._body = (size, channels, body)
        return self._body[2]

    def has_body(self, size: Size | None, channels: int | None) -> bool:
        """Whether somebody has edited the source for a size and channels, so that all can load it."""
        return has_edited(self.store, self._fed(size, channels))

    def drop_body(self, size: Size | None, channels: int | None) -> None:
        """Remove what was edited from the store, when an input is done."""
        drop_edited(self.store, self._fed(size, channels))

    def _fed(self, size: Size | None, channels: int | None) -> Recipe:
        recipe = self.request.recipe
        return recipe.model_copy(update={"stem": stem_for(recipe, size, channels)})

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

    @property
    def count(self) -> int:
        """How many training images there are."""
        return len(self._indexed()[1].train.pixels)

    @property
    def outputs(self) -> int:
        """How many outputs a head has."""
        if self.request.recipe.data.target in UNLABELLED:
            return int(feature_model(self.source.model.value).outputs[0].shape[-1])
        return outputs_of(self._indexed()[1])

    def counts(self) -> dict[str, int]:
        """How many images each part has."""
        dataset = self._indexed()[1]
        return {"train": len(dataset.train.pixels), "held_out": len(dataset.val.pixels)}

    def training_rows(self, size: Size | None, channels: int | None, which: np.ndarray | slice) -> np.ndarray:
        """Some of the training images, or of the arrays, as the device gives them."""
        feed = self._feed(size, channels)
        form = picture_form(self.request.recipe, feed) if isinstance(feed, PictureFeed) else None
        if self._in_parts and not (self._dataset is not None and self._dataset[:2] == (size, channels)):
            return self._part(which, form)
        return np.asarray(self.images(size, channels).train.pixels)[which]

    @property
    def teaches(self) -> bool:
        """Whether the source says of each part what its images are to say."""
        return self._in_parts and self.request.recipe.data.target in UNLABELLED

    def taught(self, which: slice) -> np.ndarray:
        """The source's own final features of some training images, (n, features), float32."""
        if self._teacher is None:
            recipe, source = self.request.recipe, self.source.model.value
            size, channels = self.request.sizes[0], self.request.channels[0]
            own = source_feed(recipe, source, self._feed(size, channels))
            self._teacher = own, forward_of(feature_model(source))
        feed, forward = self._teacher
        rows = self._part(which, source_form(feed) if isinstance(feed, PictureFeed) else None)
        return np.concatenate([first for (first,) in predict_each(forward, rows, feed.values)])

    def probe_targets(self) -> np.ndarray:
        """What a probe is fitted to: the classes of all training images, (n,), or at most 64 values of each."""
        if self._targets is None:
            if self.teaches:
                targets = targets_of(self.store, self.count, self.outputs)
            elif self.request.recipe.data.target in UNLABELLED:
                targets = np.asarray(self.images(self.request.sizes[0], self.request.channels[0]).train.labels)
            else:
                targets = np.asarray(self._indexed()[1].train.labels)
            self._targets = leading(targets)
        return self._targets

    def pooled(self, size: Size | None, channels: int | None, rows: np.ndarray) -> Iterator[list[np.ndarray]]:
        """The pooled features of all cuts for rows as the device gives them, batch by batch."""
        feed = self.body(size, channels).feed
        if self._forward is None or self._forward[:2] != (size, channels):
            graph = self.graph(size, channels)
            self._forward = (size, channels, forward_of(pooled_model(graph, poolable(graph))))
        title = f"forward pass {words(size, channels)}"
        return predict_each(self._forward[2], rows, feed.values, title=title, progress=self.progress)

    def _part(self, which: np.ndarray | slice, form: PictureForm | None) -> np.ndarray:
        """Some of the training images in a form, or of the arrays."""
        if self._reader is None:
            source, dataset = self._indexed()
            self._reader = PartReader(source, dataset.train.pixels, file_store("search"), self.progress)
        return self._reader.part(which, form)

    def _indexed(self) -> tuple[PictureSource, Dataset]:
        if self._index is None:
            recipe, inputs = self.request.recipe, None
            if self.request.sizes == (None,):
                inputs = array_inputs(self.source.model.value)
            source, dataset = index_data(recipe.data, inputs, partial=recipe.head is None)
            unlabelled = dataset.train.labels is None or dataset.val.labels is None
            if unlabelled and recipe.data.target not in UNLABELLED:
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
