"""Profiles load, overrides apply, and every mistake gives one line that names field and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgi.config import ConfigError
from mgi.profiles import load_config, profile_names


def test_every_shipped_profile_is_valid_and_named() -> None:
    assert {"embedded", "quick", "paper-celebahq", "paper-ffhq"} <= set(profile_names())
    for name in profile_names():
        assert load_config(name).profile == name


def test_paper_profiles_hold_what_the_paper_states() -> None:
    for name in ("paper-celebahq", "paper-ffhq"):
        config = load_config(name)
        assert len(config.inversion.all_hypotheses()) == 20
        assert {h.composing_layer for h in config.inversion.all_hypotheses()} == {4, 5, 6, 7, 8}
        assert {h.num_codes for h in config.inversion.all_hypotheses()} == {10, 20, 30, 40}
        assert (config.warp.backbone, config.warp.image_size, config.upsampling) == ("vgg19-imagenet", 256, 4)
        assert (config.selection.rule, config.inversion.start, config.warp.temperature) == ("paper", "random", 100.0)


def test_overrides_are_read_as_toml_where_they_parse() -> None:
    config = load_config("quick", {"inversion.steps": "7", "inversion.hypotheses": '["L05N02"]', "generator": "x.pth"})
    assert config.inversion.steps == 7
    assert [h.id for h in config.inversion.all_hypotheses()] == ["L05N02"]
    assert config.generator == "x.pth"
    assert config.digest() != load_config("quick").digest()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"inversion.stepz": 3}, "unknown key inversion.stepz"),
        ({"inversion.steps": 0}, "inversion.steps: .*found 0"),
        ({"inversion.hypotheses": ["6x30"]}, "expected a hypothesis id like 'L06N30'"),
        ({"selection.rule": "fid"}, "selection.rule: .*found 'fid'"),
        ({"generator.name": "x"}, "generator is a value, not a section"),
    ],
)
def test_mistakes_are_one_line(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config("quick", overrides)
    assert "\n" not in str(caught.value)


def test_a_near_choice_is_suggested() -> None:
    with pytest.raises(ConfigError, match=r"found 'sifd' \(did you mean sifid\?\)"):
        load_config("quick", {"selection.rule": "sifd"})
    with pytest.raises(ConfigError, match=r"found 'beauty'$"):
        load_config("quick", {"selection.rule": "beauty"})


def test_profile_files(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[inversion]\nsteps = 5\nhypotheses = ["L05N02"]\n', encoding="utf-8")
    assert load_config(str(mine)).profile == "mine"
    assert load_config(str(mine)).inversion.steps == 5
    mine.write_text("[inversion\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load_config(str(mine))
    with pytest.raises(ConfigError, match=r"nothing\.toml does not exist"):
        load_config(str(tmp_path / "nothing.toml"))
    with pytest.raises(ConfigError, match="unknown profile 'nope'; expected one of embedded"):
        load_config("nope")
