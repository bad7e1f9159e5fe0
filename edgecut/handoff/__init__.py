"""The folder that an embedded team receives."""
