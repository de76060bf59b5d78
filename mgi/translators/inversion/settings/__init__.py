"""One file per published inversion method: its settings, and where they leave the paper."""
