"""What a request means for an existing run: the same, growth of one kind or several, or another run and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from mgi.config import ConfigError, RunConfig
from mgi.pairs import Pair
from storage.run_store import NoRun, RunConflict
from tasks.grow import split_groups
from tasks.growth import Change, Growth, growth, reselection
from tasks.stages.plan import Plan, Request
from tasks.stored import stored_config, stored_configs

BEGUN = ("L04N10", "L05N10")


def config(*hypotheses: str, rule: str = "spatial-fd", bound: float = 1.5, **inversion: Any) -> RunConfig:
    selection = {"rule": rule, "fidelity_bound": bound}
    return RunConfig.model_validate(
        {"inversion": {"hypotheses": hypotheses or BEGUN, **inversion}, "selection": selection}
    )


def plan(count: int, settings: RunConfig | None = None, *, start: int = 0, **request: Any) -> Plan:
    pairs = [Pair(f"s{number}.png", f"e{number}.png") for number in range(start, count)]
    return Plan(Request("/sources", "/exemplars", settings or config(), **request), pairs)


def header(began: Plan, *changes: Change) -> dict[str, Any]:
    kept = [{"what": c.what, "set": c.set, "added": list(c.added), "mgi": "1", "applied": True} for c in changes]
    stored = began.request.config.model_dump(mode="json")
    return {"config": stored, "inputs": began.request.inputs(), "digest": "d", "changes": kept}


def decide(
    began: Plan, asked: Plan, *changes: Change, extending: bool = False, have: pd.DataFrame | None = None
) -> Growth | None:
    return growth("RUN", header(began, *changes), began.table() if have is None else have, asked, extending)


def ids(asked: Plan) -> list[str]:
    return [pair.id for pair in asked.pairs]


def refusal(*arguments: Any, **more: Any) -> list[str]:
    with pytest.raises(RunConflict) as error:
        decide(*arguments, **more)
    head, *lines = str(error.value).splitlines()
    assert "RUN holds another run" in head and "mgi resume RUN" in head
    return lines


# ---------------------------------------------------------------------- pairs


@pytest.mark.parametrize("extending", [False, True])
def test_the_same_request_is_the_same_run(extending: bool) -> None:
    assert decide(plan(3), plan(3), extending=extending) is None


def test_more_pairs_are_added_where_that_is_asked_for() -> None:
    found = decide(plan(2), plan(4), extending=True)
    assert found is not None
    assert found.changes == (Change("pairs", {}, tuple(ids(plan(4))[2:])),)
    assert found.pairs.to_dict("list") == {
        "id": ids(plan(4))[2:],
        "source": ["s2.png", "s3.png"],
        "exemplar": ["e2.png", "e3.png"],
    }


def test_more_pairs_that_nobody_asked_for_are_another_run_and_the_message_says_how_to_add_them() -> None:
    (line,) = refusal(plan(2), plan(4))
    changed = "files in the folders, or the CSV file, changed"
    assert line == f"pairs: 2 -> 4, among them {ids(plan(4))[2]} ({changed}; --extend adds what is new)"


def test_missing_files_are_another_run_unless_it_is_extended() -> None:
    (line,) = refusal(plan(3), plan(2))
    assert line.startswith(f"pairs: 3, among them {ids(plan(3))[2]} -> 2")
    assert decide(plan(3), plan(2), extending=True) is None
    found = decide(plan(3), plan(5, start=1), extending=True)
    assert found is not None and found.added("pairs") == tuple(ids(plan(5))[3:]), "old pairs stay"


def test_a_higher_limit_goes_with_the_pairs_it_lets_in() -> None:
    found = decide(plan(2, limit=2), plan(3, limit=3), extending=True)
    assert found is not None and found.changes[0].set == {"inputs.limit": 3}
    assert refusal(plan(2, limit=2), plan(3, limit=3))[0].startswith("pairs: 2 -> 3")
    assert refusal(plan(2, limit=2), plan(2, limit=3)) == ["inputs.limit: 2 -> 3"]


def test_a_run_that_got_pairs_is_the_same_under_its_old_and_its_new_command() -> None:
    change = Change("pairs", {"inputs.limit": 3}, tuple(ids(plan(3))[2:]))
    for asked in (plan(2, limit=2), plan(3, limit=3)):
        assert decide(plan(2, limit=2), asked, change, have=plan(3).table()) is None


@pytest.mark.parametrize(("more", "line"), [({"seed": 1}, "inputs.seed: 0 -> 1"), ({"pairing": "random"}, "random")])
def test_other_inputs_are_another_run_even_if_it_is_extended(more: dict[str, Any], line: str) -> None:
    (found,) = refusal(plan(2), plan(3, **more), extending=True)
    assert line in found


# ---------------------------------------------------------------------- hypotheses


def test_more_hypotheses_are_growth() -> None:
    found = decide(plan(2), plan(2, config("L06N10", *BEGUN)))
    assert found is not None and found.pairs.empty
    assert found.changes == (Change("hypotheses", {"inversion.hypotheses": ["L06N10", *BEGUN]}, ("L06N10",)),)


def test_hypotheses_may_be_added_by_layers_and_numbers_of_codes() -> None:
    began = RunConfig.model_validate({"inversion": {"composing_layers": [4], "num_codes": [10]}})
    asked = RunConfig.model_validate({"inversion": {"composing_layers": [4, 5], "num_codes": [10, 20]}})
    found = decide(plan(1, began), plan(1, asked))
    assert found is not None
    assert found.changes[0].added == ("L04N20", "L05N10", "L05N20")
    assert set(found.changes[0].set) == {"inversion.composing_layers", "inversion.num_codes"}
    grown = stored_config(header(plan(1, began), *found.changes), "RUN")
    assert grown == asked


def test_fewer_hypotheses_are_another_run() -> None:
    lines = refusal(plan(2), plan(2, config("L04N10", "L06N10")))
    assert lines[0] == 'inversion.hypotheses: ["L04N10", "L05N10"] -> ["L04N10", "L06N10"]'
    assert lines[1] == "hypotheses can only be added to a run; without L05N10 it is another one"


def test_the_same_hypotheses_said_in_another_way_are_the_same_run() -> None:
    said = RunConfig.model_validate({"inversion": {"composing_layers": [4, 5], "num_codes": [10]}})
    assert decide(plan(1), plan(1, said)) is None


def test_a_run_that_got_hypotheses_is_the_same_under_its_old_and_its_new_command() -> None:
    more = config(*BEGUN, "L06N10")
    change = Change("hypotheses", {"inversion.hypotheses": [*BEGUN, "L06N10"]}, ("L06N10",))
    for asked in (config(), more):
        assert decide(plan(1), plan(1, asked), change) is None
    assert "without L06N10" in refusal(plan(1), plan(1, config(*BEGUN, "L07N10")), change)[1]


def test_pairs_and_hypotheses_are_added_by_one_request() -> None:
    found = decide(plan(1), plan(2, config(*BEGUN, "L06N10")), extending=True)
    assert found is not None and [change.what for change in found.changes] == ["pairs", "hypotheses"]


def test_growth_beside_another_difference_is_another_run() -> None:
    lines = refusal(plan(1), plan(2, config(*BEGUN, "L06N10", steps=6)), extending=True)
    assert lines == ["inversion.steps: 2000 -> 6"]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([["a", "b", "c", "d", "e"]], [["a", "c"], ["b", "e"], ["d"]]),
        ([["a"], ["b"], ["c"], ["d"], ["e"]], [["a"], ["b"], ["c"], ["d"], ["e"]]),
        ([["a", "c"], ["b", "d", "e"]], [["a", "c"], ["b", "e"], ["d"]]),
    ],
)
def test_groups_are_split_by_when_their_hypotheses_came(groups: list[list[str]], expected: list[list[str]]) -> None:
    changes = (Change("hypotheses", {}, ("b", "e")), Change("pairs", {}, ("a",)), Change("hypotheses", {}, ("d",)))
    assert split_groups(groups, header(plan(1), *changes)) == expected
    assert split_groups(groups, header(plan(1))) == groups


# ---------------------------------------------------------------------- selection


@pytest.mark.parametrize(
    ("rule", "bound", "set"),
    [
        ("sifid", None, {"selection.rule": "sifid"}),
        (None, 2.0, {"selection.fidelity_bound": 2.0}),
        ("spatial-fd", 3.0, {"selection.rule": "spatial-fd", "selection.fidelity_bound": 3.0}),
    ],
)
def test_another_choice_is_a_change(rule: str | None, bound: float | None, set: dict[str, Any]) -> None:
    found = reselection("RUN", header(plan(1)), rule, bound)
    assert found is not None and found.changes == (Change("selection", set),) and found.pairs.empty


def test_the_choice_that_the_run_has_is_no_change() -> None:
    assert reselection("RUN", header(plan(1)), "spatial-fd", 1.5) is None
    chosen = header(plan(1), Change("selection", {"selection.rule": "sifid"}))
    assert reselection("RUN", chosen, "sifid", None) is None
    assert reselection("RUN", chosen, "spatial-fd", None) is not None, "and back"


def test_a_critics_guard_needs_a_critic_that_fits() -> None:
    other = config().model_copy(update={"generator": "kaokore"})
    with pytest.raises(ConfigError, match=r"selection\.critic_margin: no critic scores the hypotheses of RUN; make"):
        reselection("RUN", header(plan(1, other)), None, None, 2.0)
    assert reselection("RUN", header(plan(1)), None, None, 2.0) is not None
    guarded = header(plan(1), Change("selection", {"selection.critic_margin": 2.0}))
    found = reselection("RUN", guarded, None, None, 0.0)
    assert found is not None and found.changes == (Change("selection", {"selection.critic_margin": 0.0}),)


@pytest.mark.parametrize(("rule", "bound"), [("best", None), (None, 0.5)])
def test_no_such_choice_is_one_line(rule: str | None, bound: float | None) -> None:
    with pytest.raises(ConfigError) as error:
        reselection("RUN", header(plan(1)), rule, bound)
    assert "selection" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("rank_by", "refused"), [("loss", False), ("score", True), ("both", True)])
def test_a_search_by_another_rule_is_not_chosen_from(rank_by: str, refused: bool) -> None:
    halved = header(plan(1, config(rungs=["40:1"], rank_by=rank_by)))
    assert reselection("RUN", halved, "sifid", None) is not None, "rungs rank by spatial-fd under both"
    if refused:
        with pytest.raises(RunConflict, match="kept hypotheses by spatial-fd"):
            reselection("RUN", halved, "paper", None)
    else:
        assert reselection("RUN", halved, "paper", None) is not None


def test_a_translation_by_another_rule_is_told_how_to_choose_again() -> None:
    lines = refusal(plan(1), plan(1, config(rule="sifid")))
    assert lines[0] == 'selection.rule: "spatial-fd" -> "sifid"'
    assert "`mgi select RUN --rule sifid --fidelity-bound 1.5 --critic-margin 0`" in lines[1]


def test_a_run_that_was_chosen_again_is_the_same_under_the_command_that_began_it() -> None:
    change = Change("selection", {"selection.rule": "sifid"})
    for rule in ("spatial-fd", "sifid"):
        assert decide(plan(1), plan(1, config(rule=rule)), change) is None
    found = decide(plan(1), plan(1, config(*BEGUN, "L06N10")), change)
    assert found is not None and "selection.rule" not in found.changes[0].set, "and keeps its rule when it grows"


# ---------------------------------------------------------------------- configurations


def test_a_run_has_a_configuration_after_every_change() -> None:
    changes = Change("selection", {"selection.rule": "sifid"}), Change("selection", {"selection.rule": "paper"})
    rules: Sequence[str] = [c.selection.rule for c in stored_configs(header(plan(1), *changes), "RUN")]
    assert rules == ["spatial-fd", "sifid", "paper"]


def test_unknown_fields_of_a_change_name_the_version_that_grew_the_run() -> None:
    stored = header(plan(1), Change("selection", {"selection.taste": "good"}))
    stored["changes"][0]["mgi"], stored["versions"] = "9.2", {"mgi": "0.1.0"}
    with pytest.raises(NoRun, match=r"grown by mgi 9\.2, whose selection\.taste this version does not know"):
        stored_config(stored, "RUN")
