"""One straight line: load, cut, stem, head, export, check, bench, bundle."""

from edgecut.pipeline.planning import Plan, plan
from edgecut.pipeline.running import build, exit_code, run

__all__ = ["Plan", "build", "exit_code", "plan", "run"]
