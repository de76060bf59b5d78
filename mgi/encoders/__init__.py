"""Encoders: latents of a generator from a picture in one pass."""
