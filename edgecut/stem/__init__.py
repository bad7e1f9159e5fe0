"""The input side of a model."""

from edgecut.rooms import make_callable

make_callable(__name__)
