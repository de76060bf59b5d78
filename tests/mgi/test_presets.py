"""Every method is a set of settings over a profile: what it decides, what it leaves, and what its paper adds."""

from __future__ import annotations

import pytest

from mgi.config import METHODS, ConfigError, planned_steps
from mgi.profiles import load_config
from mgi.translators.registry import method as method_of
from mgi.translators.registry import preset


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("profile", ["embedded", "quick", "paper-ffhq"])
def test_every_method_fits_every_profile(method: str, profile: str) -> None:
    config, plain = load_config(profile, method=method), load_config(profile)
    assert config.inversion.method == method
    if profile != "paper-ffhq":
        assert config.inversion.steps == plain.inversion.steps, "a profile's steps are the budget"
    assert config.warp == plain.warp and config.selection == plain.selection
    row = method_of(method)
    assert row.summary and row.paper


def test_published_settings_are_taken_where_the_profile_says_so() -> None:
    steps = {method: load_config("paper-ffhq", method=method).inversion.steps for method in METHODS}
    assert steps == {
        "mgi": 2000,
        "mganprior": 3000,
        "single-code": 3000,
        "image2stylegan": 5000,
        "pulse": 100,
        "stylegan2-projector": 1000,
    }
    assert load_config("paper-celebahq", method="mganprior").inversion.optimizer == "sgd"
    grey = load_config("paper-celebahq", {"inversion.degradation": "gray"}, "mganprior").inversion
    assert (grey.hypotheses, grey.steps) == (("L04N20",), 1500)


def test_overrides_win_over_the_method() -> None:
    config = load_config("quick", {"inversion.hypotheses": '["L04N05"]', "inversion.steps": "7"}, "mganprior")
    assert config.inversion.hypotheses == ("L04N05",)
    assert config.inversion.steps == 7


def test_tasks_of_mganprior_have_their_own_settings() -> None:
    assert preset("mganprior", "mask", "profile")["perceptual_weight"] == 0.1
    assert preset("mganprior", "gray", "profile")["hypotheses"] == ["L04N20"]
    assert preset("mganprior", "none", "profile")["hypotheses"] == ["L06N30"]


def test_an_unknown_method_is_one_line() -> None:
    with pytest.raises(ConfigError, match="unknown method 'colourise'; use one of mgi, mganprior"):
        load_config("quick", method="colourise")


def test_the_plan_counts_what_rungs_save() -> None:
    config = load_config("quick", {"inversion.hypotheses": '["L04N08", "L05N08", "L06N08"]', "inversion.steps": "10"})
    assert planned_steps(config.inversion) == 30
    halved = load_config(
        "quick",
        {
            "inversion.hypotheses": '["L04N08", "L05N08", "L06N08"]',
            "inversion.steps": "10",
            "inversion.rungs": '["4:1"]',
        },
    )
    assert planned_steps(halved.inversion) == 18


def test_the_key_of_the_method_acts_as_the_option_does() -> None:
    by_option = load_config("quick", method="pulse")
    assert load_config("quick", {"inversion.method": "pulse"}) == by_option
    assert load_config("quick", {"inversion.method": '"pulse"'}, method="mganprior") == by_option
    assert by_option.inversion.space == "sphere"
    with pytest.raises(ConfigError, match="unknown method 'colourise'"):
        load_config("quick", {"inversion.method": "colourise"})


def test_the_method_comes_from_the_nearest_place(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.settings import chosen_method, load_settings

    monkeypatch.setenv("MGI_METHOD", "pulse")
    assert chosen_method(None, load_settings(), {}) == {"inversion.method": "pulse"}
    assert chosen_method("mganprior", load_settings(), {}) == {"inversion.method": "mganprior"}
    assert chosen_method("mganprior", load_settings(), {"inversion.method": "mgi"}) == {"inversion.method": "mgi"}
    monkeypatch.delenv("MGI_METHOD")
    monkeypatch.setenv("MGI_INVERSION__METHOD", "single-code")
    assert chosen_method(None, load_settings(), {}) == {"inversion.method": "single-code"}
    assert chosen_method("pulse", load_settings(), {}) == {"inversion.method": "pulse"}
