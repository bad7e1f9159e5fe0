"""The version of edgecut, apart from the package's root so that any module can say it."""

__version__ = "0.1.0"
