"""Settings of a generator's training: what is new counts for new runs alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flows.training import generator_config
from mgi.config import ConfigError
from mgi.training import TrainingConfig, TrainingError

GOLDEN = Path(__file__).parents[1] / "golden"


def test_an_adaptation_from_before_there_was_the_setting_goes_on_as_it_began() -> None:
    """New ones judge every image by itself; one that is continued keeps the discriminator that it has."""
    new = generator_config("kaokore-64", {"resolution": 32})
    assert not new.deviation and new.parent == "kaokore-64"
    before = new.model_dump(mode="json", exclude={"deviation"})
    assert generator_config("kaokore-64", before).deviation
    assert not generator_config("kaokore-64", new.model_dump(mode="json")).deviation
    assert TrainingConfig().deviation


def test_a_parents_file_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is continued with the settings that it wrote down, wherever the command is typed."""
    shutil.copy(GOLDEN / "pggan_ganzoo.pth", tmp_path / "mine.pth")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    new = generator_config("mine.pth", {"resolution": 32})
    assert new.parent == str(tmp_path / "mine.pth") and len(new.parent_sha256) == 64
    assert generator_config("~/mine.pth", {"resolution": 32}) == new
    old = new.model_copy(update={"parent": "mine.pth"})  # as older versions wrote it
    assert generator_config("mine.pth", old.model_dump(mode="json")) == old
    assert generator_config("./mine.pth", old.model_dump(mode="json")) == old
    monkeypatch.chdir("/")
    assert generator_config(new.parent, new.model_dump(mode="json")) == new


def test_a_parent_that_is_not_there_is_named_with_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for asked, text in (
        ("mobile-stylegan-fhq", "found neither (did you mean mobile-stylegan-ffhq?)"),
        (str(tmp_path / "model"), "found a folder"),
    ):
        with pytest.raises(TrainingError) as caught:
            generator_config(asked, {"resolution": 32})
        assert text in str(caught.value)
    (tmp_path / "model" / "generator.safetensors").touch()
    with pytest.raises(TrainingError, match=r"found a folder; use .*model/generator.safetensors"):
        generator_config(str(tmp_path / "model"), {"resolution": 32})
    gone = TrainingConfig.adapting(str(tmp_path / "gone.pth"), "12").model_dump(mode="json")
    with pytest.raises(TrainingError, match="found neither"):  # and not: with other settings
        generator_config(gone["parent"], gone)


def test_names_may_be_typed_with_commas() -> None:
    assert generator_config("", {"freeze": "mapping, styles"}).freeze == ("mapping", "styles")
    assert generator_config("", {"freeze": "stem", "augment": ""}).augment == ()
    assert generator_config("", {"augment": ["cutout"]}).augment == ("cutout",)
    for key, text in (("freeze", "found 'nose'"), ("augment", "unknown augmentation 'nose'")):
        with pytest.raises(ConfigError, match=text):
            generator_config("", {key: "nose"})


@pytest.mark.parametrize(("discriminator", "unit"), [("projected", 32), ("patches", 16)])
def test_pictures_are_enlarged_to_a_size_that_halves(discriminator: str, unit: int) -> None:
    assert generator_config("", {"discriminator": discriminator, "projected_size": 3 * unit}).projected_size == 3 * unit
    with pytest.raises(ConfigError, match=f"^projected_size: .* expected a multiple of {unit}, found 100"):
        generator_config("", {"discriminator": discriminator, "projected_size": 100})
    assert generator_config("", {"discriminator": "residual", "projected_size": 100}).projected_size == 100
