"""Kernels: C text by family, and what binds operators to it."""
