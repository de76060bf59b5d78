"""The published formulation of multi-code inversion, written plainly: the engine's speed is measured against it.

As published by mGANprior, whose procedure MGI's paper uses: codes one after the other through the generator, batch 1,
nothing frozen (gradients of every weight are computed and thrown away), the target's features computed again in every
step, fp32, plain modules. Only benchmarks and tests import this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn


class PixelNorm(nn.Module):
    """x / sqrt(mean over channels of x^2)."""

    def forward(self, x: Tensor) -> Tensor:
        return x / torch.sqrt(torch.mean(x**2, dim=1, keepdim=True) + 1e-8)


class Layer(nn.Module):
    """Pixel norm, upsampling, convolution, equalised scale, bias, leaky ReLU: a layer of PGGAN."""

    def __init__(self, weight: Tensor, bias: Tensor, up: bool, padding: int, gain: float, act: bool = True) -> None:
        super().__init__()
        self.norm, self.up, self.padding, self.act = PixelNorm(), up, padding, act
        self.weight, self.bias = nn.Parameter(weight.float()), nn.Parameter(bias.float())
        self.scale = gain / weight[0].numel() ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        if self.up:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.conv2d(x, self.weight, padding=self.padding) * self.scale + self.bias.view(1, -1, 1, 1)
        return F.leaky_relu(x, 0.2) if self.act else x


class ReferencePGGAN(nn.Module):
    """PGGAN from mGANprior's state dict, module by module."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        count = sum(1 for key in state if key.startswith("layer") and key.endswith("weight"))
        last = f"output{count // 2 - 1}"
        self.layers = nn.ModuleList(
            Layer(
                state[f"layer{i}.conv.weight"],
                state[f"layer{i}.wscale.bias"],
                up=i >= 2 and i % 2 == 0,
                padding=3 if i == 0 else 1,
                gain=2**0.5,
            )
            for i in range(count)
        )
        self.output = Layer(
            state[f"{last}.conv.weight"], state[f"{last}.wscale.bias"], up=False, padding=0, gain=1.0, act=False
        )

    def compose(self, codes: Tensor, alpha: Tensor, layer: int) -> Tensor:
        """codes [1, N, D], alpha [1, N, C] -> fused features; a loop over codes."""
        fused: Tensor | float = 0.0
        for n in range(codes.shape[1]):
            x = codes[:, n, :, None, None]
            for module in self.layers[:layer]:
                x = module(x)
            fused = fused + x * alpha[:, n, :, None, None]
        assert isinstance(fused, Tensor)
        return fused / codes.shape[1]

    def render(self, x: Tensor, layer: int) -> Tensor:
        """Fused features -> image [1, 3, R, R]."""
        for module in self.layers[layer:]:
            x = module(x)
        result: Tensor = self.output(x)
        return result


class ReferenceVGG(nn.Module):
    """VGG-16 up to relu3_3, module by module.

    Features are divided by the scale of its pixels (255 x 0.226): the published loss is for pixels of unit variance.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        for block, convolutions in ((1, 2), (2, 2), (3, 3)):
            if block > 1:
                modules.append(nn.MaxPool2d(2))
            for index in range(1, convolutions + 1):
                weight = weights[f"conv{block}_{index}.weight"]
                convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
                convolution.load_state_dict({"weight": weight, "bias": weights[f"conv{block}_{index}.bias"]})
                modules += [convolution, nn.ReLU()]
        self.modules_in_order = nn.Sequential(*modules)
        self.register_buffer("mean", torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Images [1, 3, 256, 256] in [-1, 1] -> relu3_3."""
        mean = self.get_buffer("mean")
        pixels = ((images + 1) * 127.5 - mean).flip(1)
        result: Tensor = self.modules_in_order(pixels) / (255 * 0.226)
        return result


def vgg_of() -> ReferenceVGG:
    """The shipped VGG-16 in plain modules."""
    from mgi import weights

    return ReferenceVGG(load_file(weights.path("vgg16-imagenet")))


def mobile_step(layer: int, count: int) -> Callable[[], float]:
    """A step of the same formulation through MobileStyleGAN's plain modules.

    Codes w in a loop, one style for the tail, images of 1024 pixels averaged to 256, gradients of every weight.
    """
    from mgi.weights import load_generator

    generator, vgg = load_generator("mobile-stylegan-ffhq"), vgg_of()
    generator.fast = False
    for buffer in generator.buffers():
        buffer.requires_grad_(buffer.is_floating_point())
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        codes = generator.to_w(torch.randn(count, generator.z_dim, generator=random))
    tail = codes.mean(0, keepdim=True).requires_grad_()
    codes.requires_grad_()
    alpha = torch.full((count, generator.layer_channels(layer), 1, 1), 1 / count).requires_grad_()
    target = torch.rand(1, 3, 256, 256, generator=random) * 2 - 1
    optimiser = torch.optim.Adam([codes, alpha, tail], lr=0.05)

    def step() -> float:
        fused: Tensor | float = 0.0
        for n in range(count):
            fused = fused + generator.head(codes[n : n + 1], layer) * alpha[n]
        image = F.avg_pool2d(generator.render(fused, layer, tail), 4)
        loss = F.mse_loss(image, target) + 1e-3 * F.l1_loss(vgg(image), vgg(target))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step


class ReferenceInversion:
    """One lane under the published loss: MSE + 0.001 x L1 of VGG-16 relu3_3 of down(y) against the target.

    Args:
        generator, vgg: the plain modules.
        target: [1, 3, S, S] in [-1, 1].
        layer, codes: the hypothesis.
        seed: for the codes.
        rate: step size.
        optimizer: sgd as published for PGGAN, or adam.
    """

    def __init__(
        self,
        generator: ReferencePGGAN,
        vgg: ReferenceVGG,
        target: Tensor,
        layer: int,
        codes: int,
        seed: int,
        rate: float,
        optimizer: str = "adam",
    ) -> None:
        self.generator, self.vgg, self.target, self.layer = generator, vgg, target, layer
        dimension = generator.layers[0].weight.shape[1]
        random = torch.Generator().manual_seed(seed)
        self.codes = torch.randn(1, codes, dimension, generator=random).requires_grad_()
        channels = generator.layers[layer - 1].weight.shape[0]
        self.alpha = torch.full((1, codes, channels), 1 / codes).requires_grad_()
        kind = torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam
        self.optimiser = kind([self.codes, self.alpha], lr=rate)

    def step(self) -> float:
        """One optimisation step; returns the loss before it."""
        image = self.generator.render(self.generator.compose(self.codes, self.alpha, self.layer), self.layer)
        if image.shape[-1] > self.target.shape[-1]:
            image = F.avg_pool2d(image, image.shape[-1] // self.target.shape[-1])
        loss = F.mse_loss(image, self.target) + 1e-3 * F.l1_loss(self.vgg(image), self.vgg(self.target))
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())
