"""The pictures of a source read in parts, by one of several who read a part each."""

from __future__ import annotations

import numpy as np

from edgecut.cache.store import Store
from edgecut.images.device import PictureForm
from edgecut.images.sources import PictureSource
from edgecut.records.progress import SILENT, Progress

_FORMS = 2  # that a part is read in: the device's, and that of a source that says what the pictures are to say


class PartReader:
    """Some pictures of a source, or rows of an .npz, of which any part is read."""

    def __init__(
        self, source: PictureSource, chosen: np.ndarray, store: Store | None, progress: Progress = SILENT
    ) -> None:
        """Nothing is read yet. chosen: sorted indices. store: where the whole of an .npz is kept, None for nowhere."""
        self._source, self._chosen, self._store, self._progress = source, chosen, store, progress
        self._whole = dict[PictureForm | None, np.ndarray]()

    def part(self, which: np.ndarray | slice, form: PictureForm | None) -> np.ndarray:
        """The pictures of a part in a form, (n, *form.shape) uint8; without one, rows, as PictureSource.rows has them.

        Of a folder or shards nothing else is read, nor kept: a store knows what it keeps by the content of the whole
        folder. A compressed .npz has no places to begin at, so that all of it is read, once for a form. Raises
        DataError.
        """
        if not self._source.is_array:
            return self._read(self._chosen[which], form, None)
        if form not in self._whole:
            while len(self._whole) >= _FORMS:
                del self._whole[next(iter(self._whole))]
            self._whole[form] = self._read(self._chosen, form, self._store)
        return self._whole[form][which]

    def _read(self, chosen: np.ndarray, form: PictureForm | None, store: Store | None) -> np.ndarray:
        if form is None:
            return self._source.rows(chosen, store=store, progress=self._progress)
        return self._source.read(chosen, form, store=store, progress=self._progress)
