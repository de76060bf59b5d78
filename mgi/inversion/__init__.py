"""Latent spaces (what is optimised), objective (against what) and solver (how)."""
