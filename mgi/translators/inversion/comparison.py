"""The sizes and operators through which results are compared with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mgi import degradations
from mgi.config import ConfigError, Inversion, RunConfig, parse_degradation
from mgi.degradations import OPACITIES, Degradation
from mgi.images import down as average


@dataclass(frozen=True)
class Comparison:
    """The sizes of a picture from the store to the loss.

    Args:
        settings: degradation and how images are scaled down.
        picture: rows of pictures and warps as they are kept.
        rows: rows at which they are compared, before any degradation.
        images: rows of the images that the solver makes.
        device: where operators live.
    """

    settings: Inversion
    picture: int
    rows: int
    images: int
    device: str

    @classmethod
    def of(cls, config: RunConfig, resolution: int, device: str) -> Comparison:
        """The comparison for a generator of this resolution.

        Raises:
            ConfigError: its resolution and warp.image_size do not divide each other.
        """
        s = config.inversion
        rows = working_size(config, resolution)
        if config.task == "invert" and s.picture_size == "full":
            return cls(s, resolution, resolution, resolution, device)
        # Means of cells can be taken twice; other filters must scale down in one go. Masks and rain belong to the
        # picture's pixels.
        hidden = {kind for kind, _ in parse_degradation(s.degradation)} & set(OPACITIES)
        in_one_go = s.downscale != "mean" and not hidden
        return cls(s, config.warp.image_size, rows, max(rows, resolution) if in_one_go else rows, device)

    def observer(self, seeds: Sequence[int]) -> Degradation:
        """Degrades pictures as they are kept."""
        return degradations.build(self.settings.degradation, self.picture, seeds, self.device, self.settings.downscale)

    def operator(self, seeds: Sequence[int]) -> Degradation:
        """Degrades the solver's images."""
        s = self.settings
        return degradations.build(s.degradation, self.picture, seeds, self.device, s.downscale, self.images)

    def target(self, pictures: Tensor) -> Tensor:
        """Stored pictures [P, 3, S, S], scaled to the rows of the comparison."""
        return average(pictures, pictures.shape[-1] // self.rows)


def working_size(config: RunConfig, resolution: int) -> int:
    """Rows at which results are compared with warps: the smaller of the two.

    Features want more pixels than a small generator makes, so a warp may be larger than the images; it is then averaged
    down.

    Raises:
        ConfigError: neither divides the other.
    """
    size = config.warp.image_size
    if max(resolution, size) % min(resolution, size):
        raise ConfigError(
            f"warp.image_size = {size} neither divides the resolution {resolution} of {config.generator} "
            f"nor is a multiple of it; set it to {resolution} or half or twice that"
        )
    return min(size, resolution)
