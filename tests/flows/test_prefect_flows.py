"""What Prefect is told without a server: forms, names and keys, deployments and automations as files, artifacts."""

from __future__ import annotations

import inspect
import json
import logging
import re
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
import yaml
from PIL import Image
from places import ROOT
from prefect.client.schemas.actions import ArtifactCreate
from prefect.events.schemas.automations import AutomationCore
from prefect.utilities.callables import parameter_schema
from prefect.utilities.importtools import import_object
from prefect.utilities.schema_tools import is_valid_schema, validate

from flows import evaluate, resume, train, translate
from flows.afterwards import After
from flows.arguments import Arguments
from flows.pull import working_folder
from flows.watching import carried_out, concluded
from flows.watching.artifacts import Place, page_url, picture_url
from flows.watching.carried_out import Cluster
from flows.watching.concluded import OneLine
from flows.watching.published import Published
from flows.watching.run_artifacts import means
from mgi.config import ConfigError
from mgi.profiles import profile_names
from mgi.training import TrainingConfig

FLOWS = [translate.translate, translate.invert, resume.resume, resume.select, evaluate.evaluate, train.train_generator]
PREFECT = yaml.safe_load((ROOT / "prefect.yaml").read_text())
AUTOMATIONS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "deploy" / "prefect").glob("*.yaml")}


def schema(flow: Any) -> dict[str, Any]:
    return parameter_schema(flow).model_dump()


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_forms_describe_every_parameter(flow: Any) -> None:
    properties = schema(flow)["properties"]
    assert list(properties) == list(inspect.signature(flow.fn).parameters)
    for name, field in properties.items():
        assert field.get("description"), name


def test_forms_offer_choices_and_files() -> None:
    fields = schema(translate.translate)["properties"]
    shipped, file = fields["profile"]["anyOf"]
    assert shipped["enum"] == profile_names() and re.search(file["pattern"], "/data/mine.toml")
    assert fields["pairing"]["anyOf"][0]["enum"] == ["zip", "product", "random"]
    assert {"mgi", "pulse", "adain"} <= set(fields["method"]["anyOf"][0]["enum"])
    assert "given" not in fields["method"]["anyOf"][0]["enum"]
    assert fields["format"]["enum"] == ["jpg", "png", "tiff", "webp"]
    assert "down4" in schema(translate.invert)["properties"]["degrade"]["anyOf"][0]["enum"]
    assert "kaokore" in schema(evaluate.evaluate)["properties"]["suite"]["anyOf"][0]["enum"]
    assert get_args(train.Objective) == get_args(TrainingConfig.model_fields["objective"].annotation)


@pytest.mark.parametrize("deployment", PREFECT["deployments"], ids=lambda found: found["name"])
def test_deployments_can_run_with_what_they_ship(deployment: dict[str, Any]) -> None:
    asked = schema(import_object(deployment["entrypoint"]))
    is_valid_schema(asked)
    schedules = [schedule["parameters"] for schedule in deployment.get("schedules", [])]
    for given in ({}, *schedules):
        parameters = deployment["parameters"] | given
        assert not validate(parameters, asked, raise_on_error=False, ignore_required=False)
    assert all(not schedule["active"] and schedule["timezone"] for schedule in deployment.get("schedules", []))
    assert deployment["description"] and "mgi" in deployment["tags"]
    for name in ("sources", "exemplars", "images"):
        folder = deployment["parameters"].get(name, "examples")
        assert (ROOT / folder).is_dir(), folder


def test_automations_know_every_state() -> None:
    for found in AUTOMATIONS.values():
        AutomationCore.model_validate(found)
    expected = AUTOMATIONS["crash-lost-runs"]["trigger"]["expect"]
    for state in re.findall(r"`(prefect\.flow-run\.\w+)`", str(concluded.__doc__)):
        assert state in expected
    beats = int(PREFECT["definitions"]["work_pool"]["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
    assert AUTOMATIONS["crash-lost-runs"]["trigger"]["within"] == 10 * beats


def test_parameters_reach_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[Arguments, Cluster, After]] = []
    monkeypatch.setattr(translate, "_run", lambda asked, out, where, metrics, after: kept.append((asked, where, after)))
    translate.translate.fn("a", "b", "c", method="pulse", warp="oeft", overrides={"inversion.steps": 4}, workers=2)
    translate.invert.fn("a", "c", degrade="down4", given=True, refine=0, video=2, format="jpg", export_to="d")
    (asked, where, _), (inverted, _, after) = kept
    assert asked.overrides == {"inversion.steps": 4, "warp.method": "oeft"} and asked.method == "pulse"
    assert where == Cluster(2, None, None)
    assert inverted.overrides == {
        "inversion.degradation": "down4",
        "inversion.observed": "given",
        "options.refine": 0,
        "inversion.snapshots": translate.SNAPSHOTS,
    }
    assert after == After("d", "jpg", False, 2)


def test_keys_are_valid_and_tell_runs_apart() -> None:
    places = [Place(run, owner) for run in ("/a/First run_é", "/b/First run_é", "s3://a/first") for owner in ("x", "y")]
    keys = [place.key("progress") for place in places]
    assert len(set(keys)) == len(places)
    for key in keys:
        ArtifactCreate(key=key, type="progress", data=0.0)
    assert Place("runs/first/", "x").key("report") == Place(str(Path("runs/first").absolute()), "x").key("report")


def test_progress_counts_units_of_all_stages_and_rows() -> None:
    class Deaf:
        def __getattr__(self, name: str) -> Any:
            return lambda *told: None

    shown = Published(Deaf(), print, rows=2)  # type: ignore[arg-type]
    shown.begin("warp", "pairs", 2, 1)
    shown.begin("invert", "hypotheses", 6, 0)
    shown.beat("invert", "a.L05N10", 0.5)
    assert shown.percent == pytest.approx(100 * (1.5 / 8) / 2, abs=0.1)
    assert shown.text == "row 1 of 2: warp 1 of 2 pairs, invert 0.5 of 6 hypotheses"
    shown.begin("translate", "pairs", 4, 4)  # the next row of an evaluation
    assert shown.percent == 100 and shown.text.startswith("row 2 of 2: translate 4 of 4")


def test_pictures_are_small_and_links_can_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.effect_noise((3000, 2000), 90).save(tmp_path / "sheet.png")
    assert len(picture_url(tmp_path / "sheet.png")) < 400_000
    page = str(tmp_path / "runs" / "first" / "report.html")
    assert page_url(page) == f"file://{page}"
    monkeypatch.setenv("MGI_RUNS_URL", f"{tmp_path}/runs=https://files.example.org/all/")
    assert page_url(page) == "https://files.example.org/all/first/report.html"
    assert page_url("s3://bucket/run/report.html") == "s3://bucket/run/report.html"


def test_means_have_a_row_per_metric() -> None:
    rows = [("l2", 1.0, False), ("l2", 3.0, False), ("psnr", 20.0, True), ("psnr", None, True)]
    table = pd.DataFrame(rows, columns=["metric", "value", "higher_is_better"]).assign(unit="")
    found = {row["metric"]: row for row in means(table).to_dict("records")}
    assert (found["l2"]["mean"], found["l2"]["pairs"]) == (2.0, 2) and found["psnr"]["pairs"] == 1
    json.dumps({name: str(value) for name, value in found["l2"].items()})


def test_expected_errors_have_no_traceback() -> None:
    error, other = ConfigError("one line"), ValueError("a bug")

    def record(error: Exception) -> logging.LogRecord:
        return logging.LogRecord("n", logging.ERROR, "f", 1, "it failed: %s", ("x",), (type(error), error, None))

    first, told, bug = record(error), record(error), record(other)
    assert OneLine(error).filter(first) and first.exc_info is None
    assert not OneLine(error, said=True).filter(told)
    assert OneLine(error).filter(bug) and bug.exc_info is not None


def test_a_worker_goes_to_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("MGI_HOME", raising=False)
    monkeypatch.setenv("PWD", str(tmp_path))
    assert working_folder() == {"directory": str(tmp_path)} and Path.cwd() == tmp_path
    monkeypatch.setenv("MGI_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="MGI_HOME"):
        working_folder()


def test_copies_may_not_lie_in_the_run() -> None:
    with pytest.raises(ConfigError, match="copies lies in runs"):
        After(export_to="runs/first/copies").check("runs/first")
    After(export_to="copies", paste_back=True).check("runs/first")
    with pytest.raises(ConfigError, match="mgi paste"):
        After(paste_back=True).check("s3://bucket/run")
    assert carried_out.TAG == "mgi"
