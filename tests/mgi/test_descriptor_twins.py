"""Twins, pictures of one structure in two styles, and the contrastive loss between them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from test_descriptors import SMALL, Shapes
from tiny import tiny_pggan
from tiny_mobile import tiny_mobile_state

from mgi.correspondence.augment import affine_matrices, moved
from mgi.features.descriptor import GRID
from mgi.generators.mobile_stylegan import MobileStyleGAN
from mgi.training import TrainingError
from mgi.training.descriptor_samples import Samples
from mgi.training.descriptor_twins import ALPHA, NEAR, NOWHERE, contrastive_loss, places_of, twins
from mgi.training.descriptors import train_descriptor


def test_places_say_where_a_moved_picture_comes_from() -> None:
    line = torch.arange(GRID, dtype=torch.float)
    coordinates = torch.stack(torch.meshgrid(line, line, indexing="ij"))[None]
    for draws in torch.rand(4, 1, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1:
        matrices = affine_matrices(draws)
        seen, places = moved(coordinates, matrices)[0], places_of(matrices)
        inside = places != NOWHERE
        assert 0.5 < inside.float().mean() < 1
        expected = torch.stack([places // GRID, places % GRID]).float()
        border = inside & (expected > 0).all(0) & (expected < GRID - 1).all(0)  # half a cell is mirrored at the border
        assert float((seen - expected)[:, border].abs().max()) <= 0.501


def test_a_picture_that_is_not_moved_shows_every_place_where_it_is() -> None:
    assert torch.equal(places_of(affine_matrices(torch.zeros(1, 5))).flatten(), torch.arange(GRID * GRID))


def test_twins_share_their_structure_and_not_their_styles() -> None:
    samples = Samples(MobileStyleGAN(tiny_mobile_state()), Shapes())
    one, two, places = twins(samples, 3)
    again = twins(samples, 3)
    assert all(torch.equal(a, b) for a, b in zip((one, two, places), again, strict=True))
    assert one.shape == two.shape == (1, 32, GRID, GRID) and not torch.equal(one, two)
    assert places.shape == (GRID, GRID) and int(places.max()) < GRID * GRID


def test_a_generator_without_styles_has_no_twins() -> None:
    with pytest.raises(TrainingError, match="contrast: expected a generator with styles to mix, found one without"):
        twins(Samples(tiny_pggan().float(), Shapes()), 0)
    told: list[str] = []
    with pytest.raises(TrainingError, match="contrast: expected a generator with styles to mix"):
        config = replace(SMALL, contrast=1.0)
        train_descriptor(tiny_pggan().float(), Shapes(), ("p", ""), config, lambda *said: told.append(said[0]))
    assert not told, "before any sample is made"


def test_the_loss_is_that_of_a_plain_loop() -> None:
    random = torch.Generator().manual_seed(0)
    first, second = (torch.randn(2, 5, GRID, GRID, generator=random, dtype=torch.double) for _ in range(2))
    places, losses = torch.full((2, GRID, GRID), NOWHERE), []
    for here, there, where in zip(first, second, places, strict=True):
        seen = torch.randperm(GRID * GRID, generator=random)[:120].tolist()
        matches = {cell: int(torch.randint(GRID * GRID, (), generator=random)) for cell in seen}
        for cell, match in matches.items():
            where[cell // GRID, cell % GRID] = match
        for cell, match in matches.items():
            query = F.normalize(there[:, cell // GRID, cell % GRID], dim=0)
            scores = {}
            for other, key in matches.items():
                apart = max(abs(key // GRID - match // GRID), abs(key % GRID - match % GRID))
                if other == cell or apart > NEAR:
                    scores[other] = ALPHA * float(query @ F.normalize(here[:, key // GRID, key % GRID], dim=0))
            losses.append(math.log(sum(map(math.exp, scores.values()))) - scores[cell])
    found = contrastive_loss(first, second, places, torch.Generator().manual_seed(1))
    assert float(found) == pytest.approx(sum(losses) / len(losses), rel=1e-9)


def test_descriptors_that_agree_lose_little_and_constant_ones_all() -> None:
    features = torch.randn(1, 16, GRID, GRID, generator=torch.Generator().manual_seed(2))
    places = places_of(affine_matrices(torch.zeros(1, 5)))[None]
    same = contrastive_loss(features, features, places, torch.Generator().manual_seed(0))
    constant = contrastive_loss(torch.ones(1, 1, GRID, GRID), torch.ones(1, 1, GRID, GRID), places, torch.Generator())
    assert float(same) < 0.1 and float(constant) == pytest.approx(math.log(512), abs=0.1)


def test_learning_with_it_makes_styles_matter_less() -> None:
    generator = MobileStyleGAN(tiny_mobile_state())
    small = replace(SMALL, samples=40, buffer=24, steps=40, held_out=2)
    losses = []
    for weight in (0.0, 1.0):
        head, _ = train_descriptor(generator, Shapes(), ("tiny", "0" * 64), replace(small, contrast=weight))
        samples, total = Samples(generator, Shapes()), 0.0
        for seed in range(6):
            one, two, places = twins(samples, 900 + seed)
            with torch.no_grad():
                total += float(contrastive_loss(head(one), head(two), places[None], torch.Generator().manual_seed(0)))
        losses.append(total)
    assert losses[1] < losses[0]
