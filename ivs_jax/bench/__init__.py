"""Benchmarks: every figure is a ratio to a named reference measured in the same run."""
