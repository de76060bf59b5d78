"""`mgi init`: a configuration to edit, which means what the profile means."""

from __future__ import annotations

from pathlib import Path

import pytest
from growing import mgi

from flows.cli.init import commented
from mgi.profiles import load_config, profile_names


@pytest.mark.parametrize("profile", profile_names())
def test_the_file_means_what_the_profile_means(tmp_path: Path, profile: str) -> None:
    assert str(tmp_path / "mine.toml") in mgi("init", tmp_path / "mine.toml", "--profile", profile).output
    text = (tmp_path / "mine.toml").read_text(encoding="utf-8")
    found = load_config(str(tmp_path / "mine.toml"))
    assert found == load_config(profile).model_copy(update={"profile": "mine"})
    keys = [line for line in text.splitlines() if " = " in line and not line.startswith("#")]
    assert len(keys) > 100 and sum(line.startswith("# ") for line in text.splitlines()) >= len(keys)
    assert max(map(len, (line for line in text.splitlines() if line.startswith("#")))) <= 110


def test_options_and_text_come_back(tmp_path: Path) -> None:
    config = load_config("quick", {"options.encoder": 'a "b".safetensors', "options.refine": 3}, "encoder")
    (tmp_path / "mine.toml").write_text(commented(config, "quick"), encoding="utf-8")
    assert load_config(str(tmp_path / "mine.toml")) == config.model_copy(update={"profile": "mine"})


def test_nothing_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("mine")
    assert "is there; edit it" in mgi("init", tmp_path / "mine.toml", code=2).output
    assert "ends in .toml" in mgi("init", tmp_path / "mine.txt", code=2).output
    assert (tmp_path / "mine.toml").read_text() == "mine"
