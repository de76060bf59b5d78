"""Latents moved along directions: edits of a run, and where directions come from, as files."""
