"""The recipe's images in the device's format, with labels, or with what the source says of them."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np

from edgecut.cache.store import Store
from edgecut.errors import DataError
from edgecut.graph.calls import calls
from edgecut.graph.features import final_feature, pooled_model
from edgecut.graph.predict import predict
from edgecut.images.dataset import Dataset, Images, check_classes, read_arrays, read_data
from edgecut.images.device import DEFAULT_ORDER, PictureForm
from edgecut.images.feed import ArrayFeed, Feed, PictureFeed
from edgecut.images.listing import class_names_of
from edgecut.images.rows import columns
from edgecut.pipeline.stem import array_inputs, refuse_request
from edgecut.pipeline.values import Body, Done, Lazy, timed
from edgecut.records.facts import StepFacts
from edgecut.records.progress import SILENT, Progress
from edgecut.records.recipe import Recipe


def read_images(body: Body, recipe: Recipe, progress: Progress, store: Store | None = None) -> Done[Dataset | None]:
    """The recipe's images in the device's format, or its arrays; None without data.train.

    store: where they are kept for later builds.
    """
    refuse_request(recipe, body.model.value)  # what was edited for another request may come from the cache
    if recipe.data.train is None:
        return Done(None)
    with timed("data", progress) as clock:
        dataset = dataset_of(recipe, body.feed, body.source.model, progress, store)
        step = clock.step(changed=False, after=StepFacts(train=len(dataset.train.pixels), val=len(dataset.val.pixels)))
    return Done(dataset, (step,))


def dataset_of(
    recipe: Recipe, feed: Feed, source: Lazy[keras.Model], progress: Progress = SILENT, store: Store | None = None
) -> Dataset:
    """The recipe's images as a device gives them, or its arrays, for the model that `feed` feeds.

    source: who is asked for targets where data.target is "features". store: where the images are kept.
    """
    partial = recipe.head is None
    if isinstance(feed, ArrayFeed):
        dataset = read_arrays(recipe.data, feed.inputs, partial=partial, store=store, progress=progress)
    else:
        dataset = read_data(recipe.data, picture_form(recipe, feed), partial=partial, store=store, progress=progress)
    if recipe.data.target == "features":
        dataset = with_features(dataset, recipe, source.value, feed, progress)
    elif recipe.data.target == "input":
        dataset = replace(dataset, train=_with_itself(dataset.train, feed), val=_with_itself(dataset.val, feed))
    return dataset if recipe.head is None else check_classes(dataset, recipe.head.classes)


def picture_form(recipe: Recipe, feed: PictureFeed) -> PictureForm:
    """What a device's pictures are, in the order that the recipe says."""
    height, width, channels = feed.shape
    return PictureForm.in_order(height, width, recipe.stem.order or DEFAULT_ORDER[channels])


def with_features(
    dataset: Dataset, recipe: Recipe, source: keras.Model, feed: Feed, progress: Progress = SILENT
) -> Dataset:
    """The dataset with the source's own final features as targets: (n, features), float32."""
    originals, own = source_images(recipe, source, feed, progress)
    model = feature_model(source)
    parts = [
        predict(model, part.pixels, own.values, title="the source's features", progress=progress)
        for part in (originals.train, originals.val)
    ]
    return replace(
        dataset, train=replace(dataset.train, labels=parts[0]), val=replace(dataset.val, labels=parts[1]), labels=()
    )


def feature_model(source: keras.Model) -> keras.Model:
    """What the source knows before it decides, (batch, features)."""
    graph = calls(source)
    return pooled_model(graph, [final_feature(graph)])


def source_images(recipe: Recipe, source: keras.Model, feed: Feed, progress: Progress = SILENT) -> tuple[Dataset, Feed]:
    """The recipe's images at the source's own size and channels, or its arrays, and how they feed the source.

    feed: as source_feed has it.
    """
    own = source_feed(recipe, source, feed)
    if isinstance(own, ArrayFeed):
        return read_arrays(recipe.data, own.inputs, progress=progress), own
    return read_data(recipe.data, source_form(own), progress=progress), own


def source_feed(recipe: Recipe, source: keras.Model, feed: Feed) -> Feed:
    """How pictures of the source's own size and channels, or arrays, feed the source.

    feed: the edited model's, whose size counts where the source's is open. Raises DataError where it takes no pictures.
    """
    if isinstance(feed, ArrayFeed):
        return ArrayFeed(array_inputs(source), recipe.source.preprocess)
    shape: tuple[int | None, ...] = tuple(source.inputs[0].shape) if len(source.inputs) == 1 else ()
    if len(shape) != 4 or shape[3] not in {1, 3}:
        raise DataError(
            f"data: a source that takes gray or colour images can be asked about them, and this takes {shape}"
        )
    height, width = (shape[k + 1] or feed.shape[k] for k in (0, 1))
    return PictureFeed((height, width, shape[3] or 0), recipe.source.preprocess)


def source_form(feed: PictureFeed) -> PictureForm:
    """The pictures that source_feed feeds."""
    height, width, channels = feed.shape
    return PictureForm(height, width, channels)


def class_names(recipe: Recipe, images: Dataset | None) -> tuple[str, ...]:
    """The names of the classes: those of data.labels, else those of the images; () where nothing names them."""
    names = class_names_of(recipe.data)
    return names if names is not None else images.labels if images is not None else ()


def _with_itself(images: Images, feed: Feed) -> Images:
    """What the model takes as its own targets: (n, values), float32."""
    (values,) = columns(feed.values(images.pixels))
    return replace(images, labels=values.reshape(len(values), -1).astype(np.float32))
