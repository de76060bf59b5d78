"""What every system keeps, whichever it is: exact resume, files that translate alike, terms that are learnt from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_systems import ALL_LEARNT_AFTER, drawing_of, guide_of, small

from mgi.learnt_files import LearntFileError
from mgi.systems.files import TranslatorFacts, read_system, write_system
from mgi.systems.registry import REGISTRY, system_of
from mgi.systems.trainer import SystemTrainer, started
from mgi.training import TrainingError

NAMES = sorted(name for name, row in REGISTRY.rows.items() if row.package == "mgi")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_continued_equals_one_that_was_not_stopped(name: str) -> None:
    config = small(name)
    drawing = drawing_of(name, config)
    whole = SystemTrainer(started(system_of(name), config), 4)
    losses = [whole.step(drawing.batch(number)) for number in range(4)]
    assert all(np.isfinite(value) for terms in losses for value in terms.values())
    stopped = SystemTrainer(started(system_of(name), config), 4)
    for number in range(2):
        stopped.step(drawing.batch(number))
    again = SystemTrainer(started(system_of(name), config), 4)
    again.load_state(stopped.state())
    for number in (2, 3):
        assert again.step(drawing.batch(number)) == losses[number]
    for key, tensor in whole.system.state_dict().items():
        assert torch.equal(tensor, again.system.state_dict()[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_every_player_learns(name: str) -> None:
    config = small(name)
    drawing = drawing_of(name, config)
    trainer = SystemTrainer(started(system_of(name), config), 100)
    before = {key: tensor.clone() for key, tensor in trainer.system.state_dict().items()}
    for number in range(ALL_LEARNT_AFTER.get(name, 1)):
        trainer.step(drawing.batch(number))
    for player in trainer.system.players().values():
        for network in player.networks:
            moved = [not torch.equal(p, before[_key(trainer.system, p)]) for p in network.parameters()]
            assert sum(moved) >= 0.7 * len(moved)  # biases before a normalisation stay


@pytest.mark.parametrize("name", NAMES)
def test_a_file_translates_as_the_system_that_it_was_written_from(name: str, tmp_path: Path) -> None:
    config = small(name)
    system = started(system_of(name), config).eval()
    batch = drawing_of(name, config).batch(0)
    file = tmp_path / "translator.safetensors"
    facts = TranslatorFacts(name, config.model_dump(mode="json"), "", 1, 1, 0.5, "nothing", "CC0")
    write_system(file, system, facts)
    read, found = read_system(file)
    assert found == facts
    guide, a = guide_of(config, batch), system.sources(batch.a)
    assert a.shape[-1] == system.source_size
    with torch.no_grad():
        ours, theirs = (x.translate(a, guide, torch.Generator().manual_seed(3)) for x in (system, read))
    assert ours.shape == (len(batch.a), 3, config.size, config.size)
    assert torch.allclose(ours, theirs, atol=0.03)  # half precision
    again = read.translate(a, guide, torch.Generator().manual_seed(3))
    assert torch.equal(theirs, again)


def test_a_checkpoint_of_another_run_is_refused() -> None:
    config = small("pix2pix")
    trainer = SystemTrainer(started(system_of("pix2pix"), config), 2)
    with pytest.raises(TrainingError, match="no training state of a translator"):
        trainer.load_state({"format": "mgi-training-1"})
    other = SystemTrainer(started(system_of("pix2pix"), small("pix2pix", seed=1)), 2)
    with pytest.raises(TrainingError, match="other settings"):
        trainer.load_state(other.state())


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    config = small("pix2pix")
    system = started(system_of("pix2pix"), config)
    file = tmp_path / "translator.safetensors"
    write_system(file, system, TranslatorFacts("pix3pix", {}, "", 1, 1, 0.5, "", ""))
    with pytest.raises(LearntFileError, match="expected a system of this version"):
        read_system(file)
    settings = config.model_dump(mode="json") | {"width": 16}
    write_system(file, system, TranslatorFacts("pix2pix", settings, "", 1, 1, 0.5, "", ""))
    with pytest.raises(LearntFileError, match="expected the tensors of a translator"):
        read_system(file)


def _key(system: torch.nn.Module, parameter: torch.nn.Parameter) -> str:
    return next(name for name, other in system.named_parameters() if other is parameter)
