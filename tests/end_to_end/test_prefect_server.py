"""A real Prefect server, worker and deployments: the README's recipe as typed, and what prefect.yaml promises.

One server for all. What waits for the server or a process is begun together, and looked at one by one.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest
import yaml
from places import ROOT
from ports import free_port
from prefect_server import Server, kill, prefect_server, recipe
from runs import command, environment, make_inputs, results

from storage.run_lock import run_lock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # the first test waits for the server and its deployments
TITLE = "A GPU, a cluster, a schedule"
NETWORK = {"base_channels": 16, "z_dim": 16, "batch": 2, "discriminator": "residual", "reconstruction": 0}
TRAINING = {"steps": 2, "samples": 16, "evaluate_every": 1, "threads": 1, "parent": None, "overrides": NETWORK}
AUTOMATIONS = ROOT / "deploy" / "prefect"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the worker is started: the README's folders, small pictures and a profile that fits them."""
    folder = make_inputs(tmp_path_factory.mktemp("work"), 3)
    (folder / "sources").rename(folder / "photos")
    (folder / "exemplars").rename(folder / "paintings")
    return folder


@pytest.fixture(scope="module")
def begun(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    """The server after all of the README's commands, and {what: id} of flow runs that were begun on it."""
    home, port = tmp_path_factory.mktemp("prefect"), free_port()
    lines = recipe((ROOT / "README.md").read_text(), TITLE)
    scripts = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "MGI_HOME": ""}
    with prefect_server(home, environment(**scripts), port) as server:
        runs: dict[str, str] = {}
        for line in lines:
            if line.startswith("prefect server start"):
                server.leave(f"{line} --no-ui", home)
                server.wait()
            elif line.startswith("export PREFECT_API_URL="):
                assert line.endswith("http://127.0.0.1:4200/api")  # Prefect's own; the test's is another
            elif line.startswith("prefect worker start"):
                runs["lost"] = lose(server, line, work)
                server.leave(line, work)
                runs |= begin(server, work)
            elif line.startswith("prefect deployment run"):
                small = f" --param profile={work}/stub.toml --param metrics=none --param workers=0"
                said = server.type(line + small)
                runs["typed"] = re.findall(r"UUID: ([0-9a-f-]{36})", said)[0]
            else:
                server.type(line)
        yield server, runs


def lose(server: Server, start: str, work: Path) -> str:
    """Begin a run, and kill its worker and its process once it runs."""
    shipped = (AUTOMATIONS / "crash-lost-runs.yaml").read_text()
    hasty = shipped.replace("within: 300", "within: 10").replace("prefect.tag.mgi", "prefect.tag.lost")
    assert "status" not in server.ask("/automations/", yaml.safe_load(hasty))
    worker = server.leave(start, work, STUB_SECONDS="100")
    run = server.begin("invert/invert", tags=("lost",), **small(work, images="photos", out="runs/lost"))
    server.until(run, lambda found: found["state_type"] == "RUNNING")
    kill(worker)
    server.kill_run(run)
    return run


def small(work: Path, **values: Any) -> dict[str, Any]:
    return {"profile": str(work / "stub.toml"), "metrics": "none", "workers": 0, **values}


def begin(server: Server, work: Path) -> dict[str, str]:
    """Begin runs that end in every way, in the order of {what: ...}."""
    make_inputs(work / "many", 56)
    broken = make_inputs(work / "broken", 2)
    (broken / "sources" / "s01.png").write_text("no picture")
    folders = {"sources": str(broken / "sources"), "exemplars": str(broken / "exemplars")}
    return {
        "held": server.begin("resume/resume", run="runs/held"),
        "missing": server.begin("select/select", run="runs/none"),
        "trained": server.begin("train-generator/train-generator", images="many/sources", out="models/own", **TRAINING),
        "quarantined": server.begin("translate/translate", **small(work, out="runs/broken", **folders)),
    }


def test_the_readme_as_typed(begun: tuple[Server, dict[str, str]], work: Path) -> None:
    server, runs = begun
    run, run_id = server.ended(runs["typed"]), runs["typed"]
    assert (run["state_name"], run["name"]) == ("Completed", "translate photos by paintings into first (stub.toml)")
    assert len(results(work / "runs" / "first")) == 3 and (work / "runs" / "first" / "report.html").is_file()
    assert sum("photos" not in line and "by e0" in line and "is done" in line for line in server.logs(run_id)) == 3

    shown = {key.removeprefix("translate-first-")[7:]: artifact for key, artifact in server.artifacts(run_id).items()}
    assert set(shown) == {"progress", "preview", "summary", "report", "contact-sheet", "results"}
    assert shown["progress"]["data"] == 100 and "select 3 of 3 pairs" in shown["progress"]["description"]
    assert shown["preview"]["data"].startswith("data:image/jpeg;base64,") and len(shown["preview"]["data"]) < 200_000
    assert "report.html" in shown["report"]["data"] and shown["results"]["data"].count('"done"') == 3

    asked = {
        "deployments": {"name": {"any_": ["translate"]}},
        "flow_runs": {"state": {"name": {"any_": ["Scheduled"]}}},
    }
    deadline = time.monotonic() + 90
    while not (planned := server.ask("/flow_runs/filter", asked)):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    for known in planned:
        assert {"sources", "exemplars", "out"} <= set(known["parameters"]), known
    assert server.deployment("translate/translate")["schedules"][0]["schedule"]["timezone"] == "Europe/Berlin"


def test_deployments_as_shipped(begun: tuple[Server, dict[str, str]]) -> None:
    server, _ = begun
    for named in ("translate/translate", "invert/invert", "evaluate/evaluate", "train-generator/train-generator"):
        found = server.deployment(named)
        assert found["pull_steps"] == [{"flows.pull.working_folder": {}}] and found["description"]
        assert found["global_concurrency_limit"]["limit"] == 1 and "mgi" in found["tags"]
        assert found["concurrency_options"]["collision_strategy"] == "ENQUEUE"
        assert set(found["parameter_openapi_schema"]["required"]) <= set(found["parameters"]), named
    (nightly,) = server.deployment("evaluate/evaluate-nightly")["schedules"]
    assert not nightly["active"] and nightly["schedule"]["timezone"] and nightly["parameters"]["limit"] == 8
    refused = server.begin("translate/translate", profile="embeded")
    assert refused["status"] == 409 and "'embeded' is not valid" in refused["detail"]


def test_a_killed_workers_run_is_crashed(begun: tuple[Server, dict[str, str]]) -> None:
    server, runs = begun
    run = server.ended(runs["lost"])
    assert run["state_name"] == "Crashed" and "No heartbeat" in run["state"]["message"]


def test_what_cannot_be_carried_out_is_one_line(begun: tuple[Server, dict[str, str]], work: Path) -> None:
    server, runs = begun
    for what, expected in (("held", "is being written by process"), ("missing", "holds no run")):
        run, log = server.ended(runs[what]), server.logs(runs[what])
        assert (run["state_name"], run["run_count"]) == ("Failed", 1)
        assert expected in run["state"]["message"] and "\n" not in run["state"]["message"]
        assert any(expected in line for line in log) and not any("Traceback" in line for line in log), log


def test_quarantine_has_a_state_that_automations_see(begun: tuple[Server, dict[str, str]]) -> None:
    server, runs = begun
    run = server.ended(runs["quarantined"])
    assert (run["state_type"], run["state_name"], run["run_count"]) == ("COMPLETED", "Quarantined", 1)
    assert "1 of 2 pairs done" in run["state"]["message"]
    (table,) = (a for key, a in server.artifacts(runs["quarantined"]).items() if key.endswith("-quarantine"))
    assert "s01.png" in table["data"]

    server.type(f"prefect automation create --from-file {AUTOMATIONS / 'fail-quarantined-runs.yaml'}")
    again = server.begin("resume/resume", run="runs/broken", metrics="none", workers=0)
    assert server.until(again, lambda run: run["state_name"] == "Failed")["run_count"] == 1
    assert "Quarantined" in server.states(again)


def test_a_failed_run_is_tried_again_and_goes_on(begun: tuple[Server, dict[str, str]], work: Path) -> None:
    server, _ = begun
    (work / "blocked").write_text("a file where copies should go")
    asked = small(work, sources="photos", exemplars="paintings", out="runs/again", export_to="blocked", format="jpg")
    run_id = server.begin("translate/translate", {"PREFECT_FLOWS_DEFAULT_RETRY_DELAY_SECONDS": "6"}, **asked)
    server.until(run_id, lambda run: run["state_name"] in ("AwaitingRetry", "Retrying"))
    log = (work / "runs" / "again" / "log.jsonl").read_text()
    (work / "blocked").unlink()
    run = server.ended(run_id)
    assert run["state_name"] == "Completed" and run["run_count"] > 1, server.logs(run_id)
    assert len(list((work / "blocked").glob("*.jpg"))) == 3
    assert (work / "runs" / "again" / "log.jsonl").read_text().count('"unit"') == log.count('"unit"') > 0


def test_a_training_shows_its_samples_and_scores(begun: tuple[Server, dict[str, str]], work: Path) -> None:
    server, runs = begun
    run = server.ended(runs["trained"])
    assert run["state_name"] == "Completed" and "2 steps; best Frechet distance" in run["state"]["message"], run[
        "state"
    ]
    assert (work / "models" / "own" / "generator.safetensors").is_file()
    shown = {key.rpartition("-")[2]: artifact["data"] for key, artifact in server.artifacts(runs["trained"]).items()}
    assert set(shown) == {"progress", "preview", "metrics", "card"} and shown["progress"] == 100
    assert shown["metrics"].count('"frechet"') == 2


def test_a_regression_has_a_state_and_holds_its_deployment(begun: tuple[Server, dict[str, str]], work: Path) -> None:
    server, _ = begun
    inputs = make_inputs(work / "eight", 8)
    suite, before = inputs / "own.toml", work / "n-2000-01-01"
    suite.write_text(
        f"name = 'own'\nprofile = '{inputs / 'stub.toml'}'\nmetrics = ['l2']\n"
        "[data]\nsources = 'sources'\nexemplars = 'exemplars'\npairing = 'zip'\n[[methods]]\nname = 'mgi'\n"
    )
    first = command(
        "evaluate", suite, "--out", before, "--workers", "0"
    )  # the server is told: PREFECT_API_URL names it
    subprocess.run(first, env=server.env | {"MGI_METRICS": ""}, check=True, capture_output=True, timeout=200)
    (told,) = server.ask("/flow_runs/filter", {"flow_runs": {"name": {"like_": "evaluate own into n-2000"}}})
    assert told["state_name"] == "Completed" and told["deployment_id"] is None and "mgi" in told["tags"]
    table = before / "tables" / "evaluation.parquet"
    numbers = pandas.read_parquet(table)
    numbers.loc[numbers["metric"] == "l2", "value"] -= 0.5  # as if the results had been better once
    numbers.to_parquet(table)

    server.type(f"prefect automation create --from-file {AUTOMATIONS / 'hold-regressed-evaluations.yaml'}")
    run = server.begin("evaluate/evaluate-nightly", suite=str(suite), out="n-{date}", workers=0)
    found = server.ended(run)
    assert (found["state_type"], found["state_name"], found["run_count"]) == ("FAILED", "Regressed", 1)
    assert "worse than before: mgi l2" in found["state"]["message"]
    (made,) = (path for path in work.glob("n-*") if path != before)
    assert (made / "evaluation.html").is_file() and len(list(made.glob("rows/*/final/*.png"))) == 8
    deadline = time.monotonic() + 30
    while not server.deployment("evaluate/evaluate-nightly")["paused"]:
        assert time.monotonic() < deadline
        time.sleep(0.3)


@pytest.fixture(scope="module", autouse=True)
def held(work: Path) -> Iterator[None]:
    """A RUN that somebody else writes."""
    make_inputs(work / "for-held", 1)
    folder = work / "runs" / "held"
    inputs = work / "for-held"
    asked = command(
        "translate", inputs / "sources", inputs / "exemplars", "--out", folder, "--profile", inputs / "stub.toml"
    )
    subprocess.run([*asked, "--workers", "0"], env=environment(), check=True, capture_output=True, timeout=200)
    with run_lock(folder):
        yield
