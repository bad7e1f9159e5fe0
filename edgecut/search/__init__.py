"""Choose the cut: one pass over all of them, the best built and measured, and the front of what is left."""

from edgecut.rooms import make_callable

make_callable(__name__)
