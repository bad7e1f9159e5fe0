"""The source model and the images, in the sizes and channels that a search asks for."""

from __future__ import annotations

import keras

from edgecut.errors import DataError, StemError
from edgecut.graph.callgraph import Calls
from edgecut.graph.calls import calls
from edgecut.graph.source import load
from edgecut.images.dataset import Dataset, check_classes, read_data
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
        self._fed: tuple[Size, int, keras.Model, Dataset] | None = None

    @property
    def source(self) -> keras.Model:
        """The source model as it is."""
        if self._source is None:
            with self.progress.task("load"):
                recipe = self.request.recipe
                self._source = load(recipe.source.model, unsafe=recipe.source.unsafe)
        return self._source

    def fed(self, size: Size, channels: int) -> tuple[keras.Model, Dataset]:
        """The source with the stem of a size and channels, and the images for it.

        Raises StemError where the model can't take them, DataError for images that can't be used.
        """
        if self._fed is None or self._fed[:2] != (size, channels):
            self._fed = None
            recipe = self.request.recipe
            with self.progress.task(f"stem {words(size, channels)}"):
                model = stem(
                    self.source, channels=channels, size=size, preprocess=recipe.source.preprocess,
                    resolution=recipe.stem.resolution, pixels=recipe.stem.pixels,
                ).model  # fmt: skip
            self._fed = (size, channels, model, self._images(size, channels))
        return self._fed[2:]

    def images(self, size: Size, channels: int) -> Dataset:
        """The images of that size and channels."""
        return self.fed(size, channels)[1]

    def graph(self, size: Size, channels: int) -> Calls:
        """The calls of the source with that stem."""
        return calls(self.fed(size, channels)[0])

    def _images(self, size: Size, channels: int) -> Dataset:
        recipe = self.request.recipe
        dataset = read_data(recipe.data, height=size[0], width=size[1], channels=channels, progress=self.progress)
        if recipe.head is not None:
            dataset = check_classes(dataset, recipe.head.classes)
        if dataset.train.labels is None or dataset.val.labels is None:
            raise DataError("data.train: has no labels to choose by; give class folders or an .npz with y_train")
        return dataset


def own_size(model: keras.Model) -> tuple[Size, int]:
    """((height, width), channels) of the model's own input. Raises StemError where it takes no image of fixed size."""
    shape = tuple(model.inputs[0].shape) if len(model.inputs) == 1 else ()
    if len(shape) != 4 or None in shape[1:]:
        raise StemError(f"search: the model takes {shape}; say what the device feeds (--sizes HxW --channels N)")
    return (shape[1], shape[2]), shape[3]
