"""Adversarial objectives by name: what discriminator and generator minimise, given logits D(x).

`real` and `fake` are logits [B] of real and of generated images; sigmoid(D) is the probability "real" where an
objective speaks of probabilities. Every loss is to be minimised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.training.networks import Convolution


@dataclass(frozen=True)
class Objective:
    """One adversarial objective.

    `discriminator(real, fake)` and `generator(fake)` give scalars. `clip`: bound on every weight of the critic after
    each step (WGAN). `gradient_penalty`: weight of (|grad D(y)| - 1)^2 between real and generated images (WGAN-GP).
    """

    name: str
    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    clip: float | None = None
    gradient_penalty: float = 0.0


def _cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    # -log sigmoid(a) = softplus(-a) and -log(1 - sigmoid(a)) = softplus(a), without overflow
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def _least_squares(real: Tensor, fake: Tensor) -> Tensor:
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def _critic(real: Tensor, fake: Tensor) -> Tensor:
    return fake.mean() - real.mean()


def _hinge(real: Tensor, fake: Tensor) -> Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def _fool_critic(fake: Tensor) -> Tensor:
    return -fake.mean()


OBJECTIVES: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        # Goodfellow et al. 2014, equation 1: G minimises log(1 - D(G(z))), which saturates when D wins.
        Objective("minimax", _cross_entropy, lambda fake: -F.softplus(fake).mean()),
        # The same paper's remedy: G maximises log D(G(z)).
        Objective("non-saturating", _cross_entropy, lambda fake: F.softplus(-fake).mean()),
        # Mao et al. 2017, equation 2 with a = 0, b = c = 1.
        Objective("least-squares", _least_squares, lambda fake: 0.5 * (fake - 1).square().mean()),
        # Arjovsky et al. 2017, algorithm 1: a critic kept Lipschitz by clipping.
        Objective("wgan", _critic, _fool_critic, clip=0.01),
        # Gulrajani et al. 2017, equation 3.
        Objective("wgan-gp", _critic, _fool_critic, gradient_penalty=10.0),
        # Lim and Ye 2017; Miyato et al. 2018, equations 16-17.
        Objective("hinge", _hinge, _fool_critic),
    )
}


def r1_penalty(discriminator: nn.Module, images: Tensor) -> Tensor:
    """E |grad_x D(x)|^2 over real images [B, 3, R, R] (Mescheder et al. 2018, equation 9, without gamma / 2)."""
    images = images.detach().requires_grad_()
    return squared_gradient(discriminator(images), images)


def squared_gradient(logits: Tensor, images: Tensor) -> Tensor:
    """E |grad_x D(x)|^2 where D(x) [B, ...] is there already, made of `images` [B, ...], which require gradients."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """E (|grad_y D(y)| - 1)^2 at y = u x + (1 - u) G(z) (Gulrajani et al. 2017, equation 3).

    Args:
        mix: u ~ U(0, 1) [B].
    """
    u = mix.view(-1, 1, 1, 1)
    images = (u * real + (1 - u) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


@torch.no_grad()
def clip_weights(discriminator: nn.Module, bound: float) -> None:
    """Clip every weight, as it is used, to [-bound, bound] (WGAN)."""
    for module in discriminator.modules():
        if isinstance(module, Convolution):
            module.weight.clamp_(-bound / module.scale, bound / module.scale)
