"""Training that makes a model smaller, or truer in int8; the only room that knows TFMOT."""

from edgecut.rooms import make_callable

make_callable(__name__)
