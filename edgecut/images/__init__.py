"""Labelled images, and the one way to the device's format."""
