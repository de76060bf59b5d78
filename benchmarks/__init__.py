"""Measurements; every figure in docs/benchmarks.md names the command here that prints it."""
