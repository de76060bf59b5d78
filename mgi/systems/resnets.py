"""The generator of Johnson et al. (2016) as CycleGAN uses it: two halvings, residual blocks, two doublings."""

from __future__ import annotations

from torch import Tensor, nn

from mgi.systems.layers import ResidualBlock, normal_weights


class ResNetGenerator(nn.Module):
    """Pictures [B, I, S, S] -> [B, O, S, S] in [-1, 1]; S is a multiple of 4.

    For three channels and 64 of width it has 11,378,179 parameters with nine blocks and 7,837,699 with six, as the
    public code.

    Args:
        inputs, outputs: channels.
        width: channels of the first layer.
        blocks: residual blocks, of 4 width channels.
    """

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(inputs, width, 7, padding=3, padding_mode="reflect"), *_normed(width)]
        for channels in (width, 2 * width):
            layers += [nn.Conv2d(channels, 2 * channels, 3, 2, 1), *_normed(2 * channels)]
        layers += [ResidualBlock(4 * width) for _ in range(blocks)]
        for channels in (4 * width, 2 * width):
            up = nn.ConvTranspose2d(channels, channels // 2, 3, 2, 1, output_padding=1)
            layers += [up, *_normed(channels // 2)]
        layers += [nn.Conv2d(width, outputs, 7, padding=3, padding_mode="reflect"), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        normal_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, S, S] -> [B, O, S, S]."""
        found: Tensor = self.layers(x)
        return found


def _normed(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU()]
