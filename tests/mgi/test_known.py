"""Translations with a known truth: what the pictures share, and critics that learn from them."""

from __future__ import annotations

import pytest
import torch
from tiny_features import tiny_vgg
from tiny_mobile import tiny_mobile_state
from torch import Tensor

from mgi.generators.mobile_stylegan import MobileStyleGAN
from mgi.metrics.domain import build_statistics
from mgi.metrics.samples import generated_images
from mgi.training import constructed
from mgi.training.critics import CriticConfig, train_critic
from mgi.training.known import MIX_ROWS, TRUNCATION, known_translation


@pytest.fixture(scope="module")
def generator() -> MobileStyleGAN:
    return MobileStyleGAN(tiny_mobile_state())


def test_the_truth_has_the_sources_coarse_styles_and_the_exemplars_fine_ones(generator: MobileStyleGAN) -> None:
    known = known_translation(generator, 5)
    z = torch.randn(3, generator.z_dim, generator=torch.Generator().manual_seed(5))
    a, b, c = generator.truncate(generator.to_w(z), TRUNCATION).split(1)

    def picture(w: Tensor) -> Tensor:
        return generator.synthesize(w).clamp(-1, 1)

    layers = [layer for layer in range(1, generator.layers + 1) if generator.layer_size(layer) <= MIX_ROWS]
    cut = generator.styles - generator.tail_styles(layers[-1])
    torch.testing.assert_close(known.truth, picture(a), rtol=1e-3, atol=1e-4)
    source = torch.cat([a[:, :cut], c[:, cut:]], 1)
    torch.testing.assert_close(known.source, picture(source), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(known.exemplar, picture(torch.cat([b[:, :cut], a[:, cut:]], 1)), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(generator.head(source, layers[-1]), generator.head(a, layers[-1]))
    assert known_translation(generator, 5, down=2).truth.shape == (1, 3, 32, 32)


def test_results_of_one_translation_get_numbers_that_are_alike(
    generator: MobileStyleGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone, layer, asked = tiny_vgg(), "relu1_2", []
    layers = ("relu1_2", "relu2_2")
    monkeypatch.setattr(constructed, "TORN", constructed.TORN.model_copy(update={"layers": layers}))

    def invert(source: Tensor, exemplar: Tensor, seed: int) -> list[Tensor]:
        """Three results that a critic would tell apart."""
        asked.append(seed)
        noise = torch.randn(source.shape, generator=torch.Generator().manual_seed(seed))
        return [(source + strength * noise).clamp(-1, 1) for strength in (0.0, 0.2, 0.4)]

    domain = build_statistics(generated_images(generator, 16, 64, "cpu"), backbone, layer, 8, "test")
    found = []
    for alike in (0.0, 1.0):
        config = CriticConfig(samples=10, inverted=10, alike=alike, steps=60, batch=8, width=16, learning_rate=1e-2)
        _, facts = train_critic(generator, backbone, domain, ("tiny", "0" * 64), 64, config, invert=invert)
        found.append(facts.card["spread"])
    assert found[1] < 0.5 * found[0]
    assert len(asked) == 20 and len(set(asked)) == 10
