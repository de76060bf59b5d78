"""Directions in a generator's latent space: `mgi edit` moves inverted latents along them.

`files` reads and checks them, `boundary` learns them from labelled latents (InterfaceGAN) that `samples` drew and
`labels` reads the labels of, `ganspace` finds them in samples (GANSpace); `amounts` says how far to go. Only `files` is
imported here: others bring PyTorch.
"""

from mgi.directions.files import Direction, LatentSpace, direction_bytes, read_direction, require_fit, sidecar_of

__all__ = ["Direction", "LatentSpace", "direction_bytes", "read_direction", "require_fit", "sidecar_of"]
