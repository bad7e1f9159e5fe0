"""Numbers: measured, simulated or estimated, never without saying which."""

from edgecut.rooms import make_callable

make_callable(__name__)
