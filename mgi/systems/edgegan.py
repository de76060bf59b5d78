"""EdgeGAN (Gao et al., SketchyCOCO, CVPR 2020): images and edge maps from one latent space, which an encoder enters.

Two generators draw the image and its edge map from the same z; a joint discriminator sees both side by side, two more
see one each; an encoder learns z of drawn edge maps. A sketch is translated by encoder and image generator, so its
lines say what is shown, not where every pixel goes.

As the public code (sysu-imsl/EdgeGAN) has it, but for three things. Its classifier is a stack of masked residual units;
here it is a plain convolutional one. Its encoder adds one random number to all of z; here z is its mean, in training
and translation. Its RMSProp starts from squares of 1, PyTorch's from 0.
"""

from __future__ import annotations

import itertools
from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mgi.losses import l1
from mgi.systems.base import Batch, Guide, Player, Step, System, SystemConfig, frozen
from mgi.systems.layers import SLOPE, normal_weights
from mgi.training.objectives import OBJECTIVES, gradient_penalty

_CRITIC = OBJECTIVES["wgan-gp"]


class EdgeGANConfig(SystemConfig):
    """As published: batches of 64, RMSProp at 0.0002, WGAN-GP with a penalty of 10, z of 100 numbers."""

    batch: int = Field(64, ge=2)
    """Pictures per step."""
    flip: bool = False
    """Mirror half of the pictures."""
    z_dim: int = Field(100, ge=4, le=512)
    """Numbers of z."""
    penalty: float = Field(10.0, ge=0)
    """Weight of the gradient penalty of every discriminator."""
    latent_weight: float = Field(10.0, ge=0)
    """Weight of the encoder's L1 to z."""
    class_weight: float = Field(0.5, ge=0)
    """Weight of the class in the image generator's loss, if there are domains."""
    focus: float = Field(2.0, ge=0)
    """Exponent of the classifier's focal loss."""


class Generator(nn.Module):
    """z [B, Z] -> pictures [B, 3, S, S] in [-1, 1]: a linear layer to S / 16 and four transposed convolutions 5 x 5."""

    def __init__(self, inputs: int, width: int, size: int) -> None:
        super().__init__()
        self._start = (8 * width, size // 16, size // 16)
        self.linear = nn.Linear(inputs, 8 * width * (size // 16) ** 2)
        widths = [8 * width, 4 * width, 2 * width, width, 3]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 5, 2, 2, output_padding=1) for before, after in itertools.pairwise(widths)
        )
        normal_weights(self)

    def forward(self, z: Tensor) -> Tensor:
        """The pictures."""
        x = F.relu(F.instance_norm(self.linear(z).unflatten(1, self._start)))
        for up in self.up[:-1]:
            x = F.relu(F.instance_norm(up(x)))
        return torch.tanh(self.up[-1](x))


class Critic(nn.Module):
    """Pictures [B, 3, h, w] -> logits [B]: four convolutions 4 x 4, instance norm after all but the first."""

    def __init__(self, width: int, height: int, breadth: int) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 4 * width, 8 * width]
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 4, 2, 1, bias=False) for before, after in itertools.pairwise(widths)
        )
        self.last = nn.Linear(8 * width * (height // 16) * (breadth // 16), 1)
        normal_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        for number, conv in enumerate(self.convs):
            x = conv(x)
            x = F.leaky_relu(F.instance_norm(x) if number else x, SLOPE)
        found: Tensor = self.last(x.flatten(1))
        return found[:, 0]


class Residual(nn.Module):
    """relu(shortcut + N(conv(relu(N(conv(x)))))), with mirrored borders."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, padding_mode="reflect")
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, h, w] -> [B, O, h, w]."""
        y = F.relu(F.instance_norm(self.first(x)))
        found: Tensor = F.relu(self.shortcut(x) + F.instance_norm(self.second(y)))
        return found


class Encoder(nn.Module):
    """Edge maps [B, 3, S, S] -> z [B, Z]."""

    def __init__(self, width: int, z_dim: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.first = nn.Conv2d(3, width, 4, 2, 1)
        self.blocks = nn.ModuleList(Residual(a, b) for a, b in itertools.pairwise(widths))
        self.mean = nn.Linear(widths[-1], z_dim)
        normal_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """The mean of z."""
        x = F.relu(self.first(x))
        for block in self.blocks:
            x = block(x)
            x = F.avg_pool2d(x, 2) if min(x.shape[2:]) > 2 else x  # an instance needs more than one place
        found: Tensor = self.mean(F.relu(x).mean((2, 3)))
        return found


class Classifier(nn.Module):
    """Pictures [B, 3, S, S] -> logits [B, K] of the classes."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 4 * width, 8 * width]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in itertools.pairwise(widths))
        self.last = nn.Linear(8 * width, classes)
        normal_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        for conv in self.convs:
            x = F.leaky_relu(conv(x), SLOPE)
        found: Tensor = self.last(x.mean((2, 3)))
        return found


class EdgeGAN(System):
    """Pairs of edge map and picture, each of a class if there are domains."""

    name, data, kept, config_type = "edgegan", "pairs", ("encoder", "image"), EdgeGANConfig
    has_truth, classes = True, True

    def __init__(self, config: EdgeGANConfig, training: bool = True) -> None:
        super().__init__(config, training)
        width, size, classes = config.width, config.size, len(config.domains)
        self.encoder, self.image = Encoder(width, config.z_dim), Generator(config.z_dim + classes, width, size)
        if training:
            self.edge = Generator(config.z_dim + classes, width, size)
            self.joint_critic = Critic(width, size, 2 * size)
            self.image_critic, self.edge_critic = Critic(width, 2 * size, 2 * size), Critic(width, 2 * size, 2 * size)
            self.classifier = Classifier(width, classes) if classes else None

    def players(self) -> dict[str, Player]:
        """Both generators are one player: what they share, the joint discriminator's verdict, moves each alike."""
        found = {name: Player([getattr(self, f"{name}_critic")], kind="rmsprop") for name in ("joint", "image", "edge")}
        if self.classifier is not None:
            found["classifier"] = Player([self.classifier], kind="rmsprop")
        return {
            **found,
            "generators": Player([self.image, self.edge], kind="rmsprop"),
            "encoder": Player([self.encoder], kind="rmsprop"),
        }

    def learn(self, batch: Batch, step: Step) -> None:
        """Discriminators, classifier, generators, encoder, generators again, all with the same z."""
        config = cast("EdgeGANConfig", self.config)
        z = torch.randn(len(batch.b), config.z_dim, generator=step.random).to(batch.b)
        code = self._with_class(z, batch.b_domain)
        with torch.no_grad():
            edge, image = self.edge(code), self.image(code)
        seen = {
            "joint": (_beside(batch.a, batch.b), _beside(edge, image)),
            "image": (_larger(batch.b), _larger(image)),
            "edge": (_larger(batch.a), _larger(edge)),
        }
        for name, (real, fake) in seen.items():
            critic = getattr(self, f"{name}_critic")
            judged = _CRITIC.discriminator(critic(real), critic(fake))
            mix = torch.rand(len(real), generator=step.random).to(real)
            penalty = gradient_penalty(critic, real, fake, mix)
            step.update(name, {f"{name}_critic": judged, f"{name}_penalty": config.penalty * penalty})
        if self.classifier is not None:
            step.update("classifier", {"classifier": focal(self.classifier(batch.b), batch.b_domain, config.focus)})
        self._generate(code, batch.b_domain, step)
        found = self.encoder(self.edge(code).detach())
        step.update("encoder", {"latent": config.latent_weight * l1(found, z).mean()})
        self._generate(code, batch.b_domain, step)

    def _generate(self, code: Tensor, classes: Tensor, step: Step) -> None:
        config = cast("EdgeGANConfig", self.config)
        edge, image = self.edge(code), self.image(code)
        judges = [self.joint_critic, self.image_critic, self.edge_critic]
        with frozen(*judges, *([self.classifier] if self.classifier is not None else [])):
            terms = {
                "joint": _CRITIC.generator(self.joint_critic(_beside(edge, image))),
                "image": _CRITIC.generator(self.image_critic(_larger(image))),
                "edge": _CRITIC.generator(self.edge_critic(_larger(edge))),
            }
            if self.classifier is not None:
                terms["class"] = config.class_weight * F.cross_entropy(self.classifier(image), classes)
        step.update("generators", terms)

    def translate(self, a: Tensor, guide: Guide, random: torch.Generator) -> Tensor:
        """Encoder, then image generator; of the class `guide.domain`, if there are classes."""
        found: Tensor = self.image(self._with_class(self.encoder(a), guide.domain))
        return found

    def _with_class(self, z: Tensor, classes: Tensor | None) -> Tensor:
        count = len(self.config.domains)
        if not count:
            return z
        assert classes is not None
        return torch.cat([z, F.one_hot(classes, count).to(z).expand(len(z), -1)], 1)


def focal(logits: Tensor, classes: Tensor, focus: float) -> Tensor:
    """Mean of (1 - p)^focus x -log p, with p the probability of the true class (Lin et al. 2017)."""
    losses = F.cross_entropy(logits, classes, reduction="none")
    return ((1 - (-losses).exp()) ** focus * losses).mean()


def _beside(left: Tensor, right: Tensor) -> Tensor:
    return torch.cat([left, right], 3)


def _larger(x: Tensor) -> Tensor:
    """Twice as large, bicubic: the size that the discriminators of one picture see."""
    return F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
