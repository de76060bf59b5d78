"""Suites that ship: one TOML file each, see docs/evaluation.md."""
