"""Training of a consultation fusion (HFGI): what an encoder loses is put back into the generator's features.

As in the public code, encoder and generator stay as they are, the distortion map is knocked out of line by a random
perspective, the aligner brings it back (absolute error), and the fused picture is compared by equation 4.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.encoders.codes import CoarseRead, render
from mgi.encoders.consultation import ROWS, Consultation
from mgi.encoders.files import TrainedEncoder
from mgi.encoders.fusion import fused, fusing_layer
from mgi.generators import Generator, is_styled
from mgi.images import resize
from mgi.training.encoders.averages import update_average
from mgi.training.encoders.comparison import Comparison
from mgi.training.encoders.config import EncoderConfig
from mgi.training.encoders.estranging import displaced, estranged
from mgi.training.encoders.steps import Batch, EncoderLosses, check_state, coarse_head, new_optimizer
from mgi.training.errors import TrainingError
from mgi.training.seeds import seed_of

FORMAT = "mgi-fusion-training-1"


class FusionTrainer:
    """Networks and optimiser of one run.

    Args:
        config: what to train; its arch is hfgi.
        generator: frozen, on the device, with styles and features of 64 rows.
        encoder: whose losses are put back, on the device.
        device: where.

    Raises:
        TrainingError: the generator has no such features.
    """

    def __init__(
        self, config: EncoderConfig, generator: Generator, encoder: TrainedEncoder, device: str | torch.device = "cpu"
    ) -> None:
        self.config, self.generator, self.base, self.device = config, generator, encoder, torch.device(device)
        layer = fusing_layer(generator)
        if layer is None or not is_styled(generator):
            raise TrainingError(
                f"arch hfgi: {config.generator} has no styles or no features of {ROWS} rows; take another generator"
            )
        self.layer, self.steps_done = layer, 0
        self.comparison = Comparison(config, self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = Consultation(generator.layer_channels(layer), config.fusion_width)
        network.residue.start_small()
        self.network = network.to(self.device).train()
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self._optimizer = new_optimizer(
            config, [{"params": list(self.network.parameters()), "lr": config.learning_rate}]
        )
        self._head: CoarseRead | None = coarse_head(config, generator, self.device)

    # ------------------------------------------------------------------ a step

    def step(self, batch: Batch) -> EncoderLosses:
        """One update of aligner and consultant, on samples and pictures alike."""
        config, parts = self.config, []
        if batch.known is not None:
            known = batch.known[0].to(self.device)
            parts.append(estranged(known, config.estranged, seed_of(config.seed, "estranged", self.steps_done)))
        if batch.real is not None:
            parts.append(batch.real.to(self.device))
        if not parts:
            raise TrainingError("a step needs pictures")
        pictures = torch.cat(parts)
        latents, plain = self._plain(pictures)
        lost = pictures - plain
        moved = displaced(lost, config.distortion, config.distorted, seed_of(config.seed, "moved", self.steps_done))
        aligned = self.network.grid_align(torch.cat([moved, plain], dim=1))
        shown = self._fused(latents, *self.network.residue(aligned))
        terms = self.comparison.terms(shown, pictures)
        terms["alignment"] = config.alignment_weight * F.l1_loss(aligned, lost)
        loss = torch.stack(list(terms.values())).sum()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self.steps_done += 1
        images = self.steps_done * config.batch
        update_average(self.average, self.network, images, config.batch, config.ema_images)
        values = torch.stack([loss, *terms.values()]).detach().tolist()
        return EncoderLosses(dict(zip(("loss", *terms), values, strict=True)))

    @torch.no_grad()
    def reconstruct(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, s, s] by way of encoder, generator and the running average of the fusion, clipped."""
        pictures = pictures.to(self.device)
        latents, plain = self._plain(pictures)
        return self._fused(latents, *self.average(pictures - plain, plain)).clamp(-1, 1)

    @torch.no_grad()
    def errors(self, found: Tensor, pictures: Tensor) -> dict[str, Tensor]:
        """See `Comparison.errors`."""
        return self.comparison.errors(found, pictures.to(self.device))

    @torch.no_grad()
    def _plain(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """What the encoder says of pictures, and what the generator makes of that, clipped."""
        latents = self.base(resize(pictures, self.base.facts.size))
        rows = pictures.shape[-1]
        return latents, resize(render(self.generator, latents, rows, self._head), rows).clamp(-1, 1)

    def _fused(self, latents: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        size = self.config.size
        return resize(fused(self.generator, latents, self.layer, scale, shift, size, self._head), size)

    # ------------------------------------------------------------------ keeping

    def state(self) -> dict[str, Any]:
        """Everything needed to continue the run: tensors, numbers and text, readable with `weights_only=True`."""
        return {
            "format": FORMAT,
            "digest": self.config.digest(),
            "steps_done": self.steps_done,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from `state()`. Raises TrainingError: it is another training's, or something else."""
        check_state(state, FORMAT, self.config)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.steps_done = int(state["steps_done"])
