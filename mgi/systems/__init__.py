"""Translators that are trained: networks, losses and one step of each system, a file each; one trainer, one format."""
