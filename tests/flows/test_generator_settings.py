"""Settings of a generator's training: what is new counts for new runs alone."""

from __future__ import annotations

from flows.training import generator_config
from mgi.training import TrainingConfig


def test_an_adaptation_from_before_there_was_the_setting_goes_on_as_it_began() -> None:
    """New ones judge every image by itself; one that is continued keeps the discriminator that it has."""
    new = generator_config("kaokore-64", {"resolution": 32})
    assert not new.deviation and new.parent == "kaokore-64"
    before = new.model_dump(mode="json", exclude={"deviation"})
    assert generator_config("kaokore-64", before).deviation
    assert not generator_config("kaokore-64", new.model_dump(mode="json")).deviation
    assert TrainingConfig().deviation
