"""Directions from samples alone: principal components (GANSpace, Härkönen et al., NeurIPS 2020).

If a generator has styles, they are the components of w. Otherwise they are the components of the features after layer
L, mapped back to z by linear regression: with coordinates x_j of sample j in the components' basis and its latent z_j,
U = argmin sum_j |U x_j - z_j|^2, and direction k is column k of U.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mgi.config import ConfigError
from mgi.directions.files import LatentSpace
from mgi.generators import Generator, StyledGenerator, is_styled

SWEEPS = 4
"""Passes of the iteration over all samples."""
SPARE = 10
"""Extra columns of a block, which make it converge quickly."""
BATCH_NUMBERS = 2**22
"""Feature values of a batch: 16 MiB."""
HELD_NUMBERS = 2**28
"""Feature values that are kept between passes: 1 GiB. If there are more, they are computed again in every pass, which
takes time but no memory."""


@dataclass(frozen=True)
class Components:
    """The first K components of a generator's samples.

    `vectors` [K, D] float32 are directions in `space`, each as long as one standard deviation of the samples along it;
    `explained` [K] is each component's share of the variance; `linear` [K] is how much of the component a linear
    function of the latent explains (R^2; 1 in w, where the component is one).
    """

    space: LatentSpace
    layer: int | None
    vectors: np.ndarray
    explained: np.ndarray
    linear: np.ndarray


@torch.no_grad()
def components(
    generator: Generator, count: int, samples: int, seed: int = 0, layer: int | None = None, device: str = "cpu"
) -> Components:
    """The first `count` components.

    Args:
        generator: any generator.
        count: K.
        samples: how many latents are drawn.
        seed: of the latents.
        layer: L, for generators without styles; None means `default_layer`.
        device: where the generator is.

    Raises:
        ConfigError: too few samples, more components than dimensions, or a layer for a generator with styles.
    """
    if not 1 <= count <= generator.z_dim:
        raise ConfigError(
            f"{count} components: the latent space has {generator.z_dim} dimensions; ask for at most that many"
        )
    if samples < 2 * generator.z_dim:
        raise ConfigError(f"{samples} samples are too few for {generator.z_dim} dimensions; take -n 10000")
    z = torch.randn(samples, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    if is_styled(generator):
        if layer is not None:
            raise ConfigError("--layer is for generators without styles; here the components are those of w")
        return _of_w(generator, z, count, device)
    layer = default_layer(generator) if layer is None else layer
    if not 1 <= layer <= generator.layers:
        raise ConfigError(f"the generator has no layer {layer}; use 1 to {generator.layers}")
    return _of_features(generator, z, layer, count, device)


def default_layer(generator: Generator) -> int:
    """The last layer at 8 x 8: early enough to be nearly linear in z, late enough to be more than a blob."""
    return max((n for n in range(1, generator.layers + 1) if generator.layer_size(n) <= 8), default=1)


def _of_w(generator: StyledGenerator, z: Tensor, count: int, device: str) -> Components:
    w = torch.cat([generator.to_w(part.to(device)).cpu() for part in z.split(2000)]).double()
    variance, basis = torch.linalg.eigh(torch.cov(w.t()))
    variance, basis = variance.flip(0).clamp(min=0), _signed(basis.flip(1))
    vectors = (basis * variance.sqrt())[:, :count].t()
    explained = variance[:count] / variance.sum()
    return Components("w", None, vectors.float().numpy(), explained.numpy(), np.ones(count))


def _of_features(generator: Generator, z: Tensor, layer: int, count: int, device: str) -> Components:
    size = generator.layer_channels(layer) * generator.layer_size(layer) ** 2
    batch = max(1, min(256, BATCH_NUMBERS // size))

    def made() -> Iterator[Tensor]:
        for part in z.split(batch):
            yield generator.head(part.to(device), layer).flatten(1).float()

    kept = list(made()) if len(z) * size <= HELD_NUMBERS else None
    features = made if kept is None else lambda: iter(kept)
    mean, squares = torch.zeros(size, device=device, dtype=torch.float64), 0.0
    for y in features():
        mean += y.double().sum(0) / len(z)
        squares += float(y.double().square().sum())
    total = (squares - len(z) * float(mean.square().sum())) / (len(z) - 1)
    centre = mean.float()
    coordinates = top_coordinates(lambda: (y - centre for y in features()), size, count, device)
    variance = coordinates.square().sum(0) / (len(z) - 1)
    centred = (z - z.mean(0)).double()
    back = torch.linalg.lstsq(coordinates, centred).solution  # [K, D]: the transposed U
    predicted = centred @ torch.linalg.lstsq(centred, coordinates).solution
    linear = predicted.square().sum(0) / coordinates.square().sum(0)
    vectors = _signed((back / back.norm(dim=1, keepdim=True)).t()).t()  # z ~ N(0, I): one deviation is a length of 1
    return Components("z", layer, vectors.float().numpy(), (variance / total).numpy(), linear.numpy())


def top_coordinates(sweep: Callable[[], Iterable[Tensor]], size: int, count: int, device: str = "cpu") -> Tensor:
    """Coordinates [n, K] float64 of centred samples in their first K principal components.

    By block Krylov iteration (Musco and Musco, NeurIPS 2015), which needs only one batch of samples at a time: the
    columns of Q, (Y'Y) Q, (Y'Y)^2 Q, ... span the components far sooner than the last of these blocks alone.

    Args:
        sweep: called without arguments; batches [B, size] of all samples, the same ones each time.
        size: numbers per sample.
        count: K.
        device: of the batches.
    """
    width = min(size, count + SPARE)
    block = torch.linalg.qr(torch.randn(size, width, generator=torch.Generator().manual_seed(0)))[0].to(device)
    blocks = [block]
    for _ in range(SWEEPS):
        gathered = torch.zeros_like(block)
        for y in sweep():
            gathered += y.t() @ (y @ block)
        block = torch.linalg.qr(gathered)[0]
        blocks.append(block)
    basis = torch.linalg.qr(torch.cat(blocks, 1))[0]
    rough = torch.cat([(y @ basis).cpu() for y in sweep()]).double()
    turn = torch.linalg.eigh(rough.t() @ rough)[1]
    return rough @ turn.flip(1)[:, :count]


def _signed(basis: Tensor) -> Tensor:
    """Columns turned so that their largest entry is positive: the sign is arbitrary, but should stay the same."""
    largest = basis.gather(0, basis.abs().argmax(0, keepdim=True))
    return basis * torch.where(largest < 0, -1.0, 1.0)
