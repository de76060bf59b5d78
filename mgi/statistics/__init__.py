"""What a generator's own samples tell about it, measured once and shipped: latent prior, coarse head and domain
statistics. `python -m mgi.statistics.build NAME` makes the files of this folder."""
