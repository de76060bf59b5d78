"""Neural style transfer (Gatys, Ecker, Bethge, CVPR 2016): the source's content in the exemplar's Gram matrices.

Term by term as the authors' PyTorch code: content is the squared error of relu4_2; style that of the Gram matrices of
relu1_1 to relu5_1, each over its positions, with weights 1000 / C^2; L-BFGS from the source, 500 evaluations. Their
VGG-19 is a rescaled one, and the balance of the two terms rests on its scale, since style grows with the fourth power
of features and content with the second. Here each layer is scaled to a mean of 10 over both pictures, see
`docs/methods.md`.

Options (`--set options.NAME=VALUE`): `steps` (200; 500 under `inversion.budget = published`), `content` (1.0), `style`
(1000.0). The network is `warp.backbone`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgi.config import ConfigError, RunConfig
from mgi.features import Backbone, load_backbone
from mgi.images import resize, to_float, to_uint8
from mgi.losses.gram import gram
from mgi.translators.base import Progress, Result
from mgi.translators.options import known_options
from mgi.translators.registry import Method

CONTENT = "relu4_2"
STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")
MEAN = 10.0
"""Of every layer: 1 leaves the source as it is, 30 leaves nothing of a face."""
STEPS, PUBLISHED_STEPS = 200, 500


class StyleTransfer:
    """A `Translator`.

    Args:
        config: `warp.backbone`, `warp.image_size`, `upsampling` and `options`.
        device: torch device of its network.

    Raises:
        ConfigError: an unknown option, or one out of range.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        self.config, self._device = config, device
        published = config.inversion.budget == "published"
        known = {"steps": PUBLISHED_STEPS if published else STEPS, "content": 1.0, "style": 1000.0}
        self.steps, self._content, self._style = _options(known_options(config, "style-transfer", known), known)
        self._network: Backbone | None = None

    @property
    def picture_size(self) -> int:
        """Rows of pictures."""
        return self.config.warp.image_size

    def translate(
        self, source: np.ndarray, exemplar: np.ndarray, seed: int = 0, progress: Progress | None = None
    ) -> Result:
        """The source restyled, enlarged by `upsampling`. Nothing is random: `seed` changes nothing."""
        self._network = self._network or load_backbone(self.config.warp.backbone, self._device)
        x, y = to_float(source, self._device), to_float(exemplar, self._device)
        image, loss = self.optimise(self._network, x, y, progress)
        large = resize(image, self.picture_size * self.config.upsampling)
        return Result(to_uint8(large)[0], measures={"loss": loss})

    def optimise(
        self, network: Backbone, source: Tensor, exemplar: Tensor, progress: Progress | None = None
    ) -> tuple[Tensor, float]:
        """Source and exemplar [1, 3, S, S] in [-1, 1] -> the image and its last loss."""
        with torch.no_grad():
            of_source, of_exemplar = network(source, LAYERS), network(exemplar, LAYERS)
            scales = {n: 2 * MEAN / (of_source[n].mean() + of_exemplar[n].mean() + 1e-8) for n in LAYERS}
            content = of_source[CONTENT] * scales[CONTENT]
            grams = {name: gram(of_exemplar[name] * scales[name]) for name in STYLE}
        image = source.clone().requires_grad_(True)
        optimiser = torch.optim.LBFGS([image], max_iter=self.steps, max_eval=self.steps, history_size=100)
        losses: list[float] = []

        def closure() -> Tensor:
            optimiser.zero_grad()
            found = {name: feature * scales[name] for name, feature in network(image, LAYERS).items()}
            loss = self.loss(found, content, grams)
            loss.backward()
            losses.append(loss.item())
            if progress:
                progress(min(len(losses), self.steps), self.steps, losses[-1])
            return loss

        optimiser.step(closure)
        return image.detach().clamp(-1, 1), losses[-1]

    def loss(self, found: dict[str, Tensor], content: Tensor, grams: dict[str, Tensor]) -> Tensor:
        """Scaled features of the image, the source's content and the exemplar's Gram matrices -> one number."""
        style = [
            self._style / found[name].shape[1] ** 2 * (gram(found[name]) - target).square().mean()
            for name, target in grams.items()
        ]
        return self._content * (found[CONTENT] - content).square().mean() + torch.stack(style).sum()


def _options(given: dict[str, Any], known: dict[str, float]) -> tuple[int, float, float]:
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise ConfigError(f"options.{name}: expected a number of at least 0, found {value!r}")
    found = {**known, **given}
    if int(found["steps"]) < 1:
        raise ConfigError(f"options.steps: expected at least 1, found {found['steps']}")
    return int(found["steps"]), float(found["content"]), float(found["style"])


METHOD = Method(
    name="style-transfer",
    summary="the source's content in the exemplar's Gram matrices, by L-BFGS; no warp, no generator",
    paper="Gatys, Ecker, Bethge, CVPR 2016",
    translator="mgi.translators.style_transfer:StyleTransfer",
    needs=lambda config: [("style", config.warp.backbone)],
)
