"""The source model and the images, in the sizes and channels that a search asks for."""

from __future__ import annotations

import keras

from edgecut.errors import DataError, StemError
from edgecut.graph.callgraph import Calls
from edgecut.graph.calls import calls
from edgecut.graph.source import load
from edgecut.images.dataset import Dataset, check_classes, read_data
from edgecut.pipeline.reference import with_features
from edgecut.records.progress import SILENT, Progress
from edgecut.search.asked import Request, Size, words
from edgecut.stem.edit import stem


class Bench:
    """The source model and the images, each read once, in the sizes and channels that a search asks for."""

    def __init__(self, request: Request, progress: Progress = SILENT) -> None:
        """Nothing is read yet."""
        self.request = request
        self.progress = progress
        self._source: keras.Model | None = None
        self._model: tuple[Size, int, keras.Model] | None = None
        self._dataset: tuple[Size, int, Dataset] | None = None

    @property
    def source(self) -> keras.Model:
        """The source model as it is."""
        if self._source is None:
            with self.progress.task("load"):
                recipe = self.request.recipe
                self._source = load(recipe.source.model, unsafe=recipe.source.unsafe)
        return self._source

    def model(self, size: Size, channels: int) -> keras.Model:
        """The source with the stem of a size and channels. Raises StemError where the model can't take them."""
        if self._model is None or self._model[:2] != (size, channels):
            self._model = None
            recipe = self.request.recipe
            with self.progress.task(f"stem {words(size, channels)}"):
                model = stem(
                    self.source, channels=channels, size=size, preprocess=recipe.source.preprocess,
                    resolution=recipe.stem.resolution, pixels=recipe.stem.pixels,
                ).model  # fmt: skip
            self._model = (size, channels, model)
        return self._model[2]

    def images(self, size: Size, channels: int) -> Dataset:
        """The images of that size and channels. Raises DataError for images that can't be used."""
        if self._dataset is None or self._dataset[:2] != (size, channels):
            self._dataset = None
            self._dataset = (size, channels, self._images(size, channels))
        return self._dataset[2]

    def graph(self, size: Size, channels: int) -> Calls:
        """The calls of the source with that stem."""
        return calls(self.model(size, channels))

    def _images(self, size: Size, channels: int) -> Dataset:
        recipe = self.request.recipe
        dataset = read_data(recipe.data, height=size[0], width=size[1], channels=channels, progress=self.progress)
        if recipe.data.target == "features":
            dataset = with_features(dataset, recipe, self.source, size, self.progress)
        if recipe.head is not None:
            dataset = check_classes(dataset, recipe.head.classes)
        if dataset.train.labels is None or dataset.val.labels is None:
            raise DataError("data.train: has no labels to choose by; give class folders or an .npz with y_train")
        return dataset


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
