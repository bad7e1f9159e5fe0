"""A model to a file; the only room that knows converters."""

from edgecut.rooms import make_callable

make_callable(__name__)
