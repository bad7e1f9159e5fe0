"""Pictures in the device's form, in order, decoded by child processes: a crafted one ends a child, and is named."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np

from edgecut.errors import DataError, StepError, several
from edgecut.images.device import PictureForm
from edgecut.images.encoded import Encoded
from edgecut.records.progress import SILENT, Progress
from edgecut.sandbox.child import ChildDied, end_children, the_child

WORKER = "edgecut.images.decode_worker"
_CHILDREN = min(8, os.cpu_count() or 1)
_A_CHILD = 200  # pictures that are worth another child: they take about as long as it does to start
_AT_ONCE, _AT_ONCE_BYTES = 16, 4 << 20  # pictures that a child gets, and their encoded bytes
# What the usual files begin with. Any other is decoded, so that none is refused by its first bytes.
_MAGICS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P5", b"P6")
# About 0.1 s of JPEG files on one core of 2020.
_QUICK_FILES, _QUICK_BYTES = 400, 2 << 20
_SHOWN = 20  # files named
_DEATHS = 10  # children that pictures may end, each of which takes a start, or all the time that it may have
_ALONE = -1  # the place of the child that gets one picture at a time, which no thread shares

Picture = Path | Encoded


class _Answer(NamedTuple):
    """pixels: the pictures in the device's form, none where no form was asked for. faults: of the others.

    end: why the pictures behind these aren't read, "" where they are.
    """

    pixels: np.ndarray
    faults: list[str]
    end: str = ""


def decode_all(
    pictures: Iterable[Picture], count: int, form: PictureForm, *, where: str, progress: Progress = SILENT
) -> Iterator[np.ndarray]:
    """So many pictures, files or those of shards, in the device's form, in order, some at a time: (n, *form.shape).

    Raises DataError at the end that names every picture that can't be decoded, in order; of many the first.
    """
    faults: list[str] = []
    ends: list[str] = []
    with progress.task("reading images", count) as advance:
        for pixels, wrong, end in _answers(pictures, count, form, where):
            faults += wrong
            ends += [end] if end else []
            yield pixels
            advance(len(pixels) + len(wrong))
    if faults:
        raise several(DataError, [*shortened(faults, where), *ends])


def decode_faults(files: Sequence[Path], where: str) -> list[str]:
    """What can be said soon of pictures that can't be decoded; [] also where that shows only when all are read.

    Those that don't begin as a picture does are decoded, and where there are few and small ones all.
    """
    chosen = files if decodes_quickly(files) else [path for path in files if not _begins_as_picture(path)]
    answers = list(_answers(chosen, len(chosen), None, where))
    faults = [fault for answer in answers for fault in answer.faults]
    return [*shortened(faults, where), *(answer.end for answer in answers if answer.end)]


def decodes_quickly(files: Sequence[Path]) -> bool:
    """Whether decode_faults(files) reads each picture to its end."""
    return len(files) <= _QUICK_FILES and sum(path.stat().st_size for path in files if path.is_file()) <= _QUICK_BYTES


def shortened(faults: Sequence[str], where: str) -> list[str]:
    """The first faults, and how many more there are."""
    more = len(faults) - _SHOWN
    last = [f"{where}: {more} more files can't be decoded"] if more > 0 else []
    return [*faults[:_SHOWN], *last]


def _answers(pictures: Iterable[Picture], count: int, form: PictureForm | None, where: str) -> Iterator[_Answer]:
    """What children answer, in order, some pictures at a time; nothing more once too many have ended their child."""
    deaths = 0
    children = max(1, min(_CHILDREN, -(-count // _A_CHILD)))
    for some, answer in _side_by_side(_some_at_a_time(pictures), children, form, where):
        if answer is not None:
            yield answer
            continue
        for each in some:  # one of them ended the child: which, shows alone
            alone, died = _alone(each, form, where)
            yield alone
            deaths += died
            if deaths == _DEATHS:
                end = f"{where}: {deaths} pictures ended the child processes that decoded them; no more were read"
                yield _Answer(np.empty((0, *form.shape) if form else 0, np.uint8), [], end)
                return


def _side_by_side(
    tasks: Iterable[list[Picture]], children: int, form: PictureForm | None, where: str
) -> Iterator[tuple[list[Picture], _Answer | None]]:
    """Each task with its answer, None where it ended its child; few tasks ahead, so that nothing piles up."""
    free: SimpleQueue[int] = SimpleQueue()
    for place in range(children):
        free.put(place)

    def answered(some: list[Picture]) -> tuple[list[Picture], _Answer | None]:
        place = free.get()
        try:
            return some, _ask(place, some, form, where)
        except ChildDied:
            return some, None
        finally:
            free.put(place)

    pool, running = ThreadPoolExecutor(children), deque[Future[tuple[list[Picture], _Answer | None]]]()
    try:
        for task in tasks:
            running.append(pool.submit(answered, task))
            if len(running) > 2 * children:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    except BaseException:  # Ctrl-C, which waits for no picture
        pool.shutdown(wait=False, cancel_futures=True)
        end_children(WORKER)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _ask(place: int, some: Sequence[Picture], form: PictureForm | None, where: str) -> _Answer:
    """What the child of a place answers. Raises ChildDied."""
    encoded = [each for each in some if isinstance(each, Encoded)]
    header = {
        "where": where,
        "form": form and astuple(form),
        "places": [each.place if isinstance(each, Encoded) else str(each) for each in some],
        "paths": [os.path.abspath(each) for each in some if isinstance(each, Path)],
        "has_bytes": [each.content is not None for each in encoded],
    }
    contents = [np.frombuffer(each.content, np.uint8) for each in encoded if each.content is not None]
    answer, arrays, _ = the_child(WORKER, place).ask(header, contents)
    return _Answer(arrays[0] if arrays else np.empty(0, np.uint8), answer["faults"])


def _alone(picture: Picture, form: PictureForm | None, where: str) -> tuple[_Answer, bool]:
    """(the answer to one picture, whether it ended its child). Raises StepError where no child can be had at all."""
    try:
        return _ask(_ALONE, [picture], form, where), False
    except ChildDied as exc:
        place = picture.place if isinstance(picture, Encoded) else str(picture)
        fault = f"{where}: {place} can't be decoded ({exc}); replace or remove it"
    try:
        return _ask(_ALONE, [], form, where)._replace(faults=[fault]), True
    except ChildDied as exc:  # it wasn't the picture
        raise StepError(f"{where}: pictures can't be decoded ({exc})") from exc


def _some_at_a_time(pictures: Iterable[Picture]) -> Iterator[list[Picture]]:
    some, size_bytes = list[Picture](), 0
    for picture in pictures:
        some.append(picture)
        size_bytes += len(picture.content or b"") if isinstance(picture, Encoded) else 0
        if len(some) == _AT_ONCE or size_bytes >= _AT_ONCE_BYTES:
            yield some
            some, size_bytes = [], 0
    if some:
        yield some


def _begins_as_picture(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head.startswith(_MAGICS) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")
