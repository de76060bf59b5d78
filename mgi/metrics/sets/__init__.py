"""Metrics of whole sets that are compared with a reference set, one file each."""
