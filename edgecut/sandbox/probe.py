"""A job that tells what a child process is without: {"network": whether it has one}."""

from __future__ import annotations

import json
import os
import sys

from edgecut.sandbox.confined import VARIABLE

if __name__ == "__main__":
    json.dump({"network": os.environ[VARIABLE] == "0"}, sys.stdout)
