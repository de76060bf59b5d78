"""Fused features with as much variation as the generator's own.

A mean of the features of N codes varies less over the picture than those of one sample: what the codes do not share
cancels out. The layers above then draw soft, waxy pictures, which they never had to draw in training. Scaling every
channel back brings features to where the layers above know them (docs/warps.md, "Sharpness").

Shapes: B lanes, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mgi.generators import Generator, is_styled

SAMPLES, SEED = 64, 0x5BEAD
LIMIT = 4.0
"""No channel is scaled by more than this, or by less than its inverse: one that hardly varies would be noise."""


@torch.no_grad()
def usual_spread(generator: Generator, layer: int, device: str | torch.device) -> Tensor:
    """Standard deviation of each channel over the positions of one sample, geometric mean over samples: [C].

    Args:
        generator: any.
        layer: features are taken after so many layers.
        device: where the generator is.
    """
    z = torch.randn(SAMPLES, generator.z_dim, generator=torch.Generator().manual_seed(SEED))
    features = next(iter(generator.state_dict().values())).dtype
    z = z.to(device, torch.promote_types(features, torch.float32))  # latents are never bf16
    codes = generator.to_w(z) if is_styled(generator) else z
    logs = [deviation(generator.head(code, layer))[0].log() for code in codes.split(1)]
    return torch.stack(logs).mean(0).exp()


def with_spread(features: Tensor, usual: Tensor, power: float) -> Tensor:
    """Features [B, C, h, w], every channel scaled around its mean towards its usual deviation [C].

    Args:
        power: 0 leaves features as they are, 1 gives every channel exactly its usual deviation.
    """
    found = deviation(features)
    scale = (usual / found).clamp(1 / LIMIT, LIMIT) ** power
    mean = features.mean((2, 3), keepdim=True)
    return mean + (features - mean) * scale[:, :, None, None].to(features.dtype)


def deviation(features: Tensor) -> Tensor:
    """[B, C, h, w] -> [B, C] in fp32, above zero also where a channel is constant."""
    centred = features.float() - features.float().mean((2, 3), keepdim=True)
    return (centred.square().mean((2, 3)) + 1e-12).sqrt()
