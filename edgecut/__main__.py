"""`python -m edgecut`."""

from edgecut.cli.main import main

# Processes that this one starts import it again.
if __name__ == "__main__":
    main()
