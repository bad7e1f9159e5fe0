"""`python -m edgecut`."""

from edgecut.cli.main import main

main()
