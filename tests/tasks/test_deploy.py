"""The files of `deploy/` as far as they can be checked without Docker, Kubernetes and SLURM."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from runs import environment, make_inputs

from flows.cli import app
from flows.cli.environment import options_of, variables
from flows.settings import Settings
from tasks.workers.resources import Demand

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE = DEPLOY / "compose" / "docker-compose.yml"
OTHERS = {"MGI_WEIGHTS_DIR", "MGI_WEIGHTS_MIRROR", "MGI_OFFLINE", "MGI_DEBUG", "MGI_PREFECT"}
"""Variables that are read where they are needed; docs/configuration.md lists them."""
SCHEDULER_ALLOWS = "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"


def compose() -> dict[str, Any]:
    """Its services, with defaults for `${NAME:-default}` and `$$` for a dollar, as the command reads them."""
    text = re.sub(r"(?<!\$)\$\{\w+:-([^}]*)\}", r"\1", COMPOSE.read_text()).replace("$$", "$")
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    return services


def kubernetes() -> dict[str, Any]:
    job: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes" / "job.yaml").read_text())
    return job


def containers() -> dict[str, Any]:
    spec = kubernetes()["spec"]
    found = {"job": spec["job"], **spec["cluster"]["spec"]}
    return {name: part["spec"]["containers"][0] for name, part in found.items()}


def commands() -> Iterator[tuple[str, list[str]]]:
    """(where, command line) of every process that is ours or Dask's or Prefect's, in all files."""
    for name, service in compose().items():
        words = [*service.get("entrypoint", []), *service.get("command", [])]
        if words and words[0] in ("dask", "prefect"):
            yield f"compose/{name}", words
    for name, container in containers().items():
        yield f"kubernetes/{name}", [*container.get("command", ["mgi"]), *container["args"]]
    for file in (COMPOSE, DEPLOY / "slurm" / "on_slurm.py"):
        for line in file.read_text().splitlines():
            if found := re.search(r"(?:run --rm mgi|-- )(translate .*?| ?resume .*?)(?:  +#.*)?$", line):
                yield f"{file.name}: {line.strip()}", ["mgi", *shlex.split(found[1])]


COMMANDS = list(commands())


@pytest.mark.parametrize("words", [words for _, words in COMMANDS], ids=[where for where, _ in COMMANDS])
def test_every_command_line_is_understood(words: list[str]) -> None:
    tool, verb, *rest = words
    if tool == "mgi":
        typer.main.get_command(app).commands[verb].make_context(verb, rest)  # type: ignore[attr-defined]
    elif tool == "dask":
        from distributed.cli import dask_scheduler, dask_worker

        main = {"scheduler": dask_scheduler, "worker": dask_worker}[verb].main
        parsed = main.make_context(verb, rest)
        if verb == "worker":
            declared = dict(part.split("=") for part in parsed.params["resources"].split())
            worker = {"nthreads": 1, "resources": {name: float(amount) for name, amount in declared.items()}}
            assert Demand.of({"w": worker}).resource == "MGI"
    else:
        assert [tool, verb, rest[0]] in (["prefect", "server", "start"], ["prefect", "worker", "start"])
        from prefect.cli.server import start as server
        from prefect.cli.worker import start as worker_start

        known = str(__import__("inspect").signature(server if verb == "server" else worker_start))
        assert all(f"{option.removeprefix('--')}" in known for option in rest if option.startswith("--"))


def test_every_variable_is_one_that_somebody_reads() -> None:
    named = {variable for service in compose().values() for variable in service.get("environment", {})}
    named |= {entry["name"] for container in containers().values() for entry in container.get("env", [])}
    read = OTHERS | {f"MGI_{name.upper()}" for name in Settings.model_fields}
    for path, verb in _verbs(typer.main.get_command(app)):
        read |= {name for option in options_of(verb) for name in variables(path, option)}
    ours = {name for name in named if name.startswith("MGI_")}
    assert ours and ours <= read
    assert {name for name in named if name.startswith("DASK_")} == {SCHEDULER_ALLOWS}


def test_the_scheduler_reads_how_many_deaths_it_allows() -> None:
    code = "import dask, distributed; print(dask.config.get('distributed.scheduler.allowed-failures'))"
    done = subprocess.run([sys.executable, "-c", code], env={SCHEDULER_ALLOWS: "1"}, capture_output=True, check=True)
    assert done.stdout.strip() == b"1"
    assert compose()["scheduler"]["environment"][SCHEDULER_ALLOWS] == "1"
    assert {"name": SCHEDULER_ALLOWS, "value": "1"} in containers()["scheduler"]["env"]


def test_prefect_knows_its_variables() -> None:
    from prefect.settings import get_current_settings

    known = get_current_settings().to_environment_variables(exclude_unset=False)
    fields = {name for name in compose()["prefect"]["environment"] if name.startswith("PREFECT_")}
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" in fields
    assert fields <= known.keys() | {"PREFECT_SERVER_DATABASE_CONNECTION_URL"}


def test_compose_follows_its_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    (schema,) = _files_of("check-jsonschema", "vendor/compose-spec.json")
    text = re.sub(r"(?<!\$)\$\{\w+:-([^}]*)\}", r"\1", COMPOSE.read_text())
    jsonschema.validate(yaml.safe_load(text), json.loads(schema.read_text()))


def test_services_and_volumes_that_are_named_exist() -> None:
    whole, services = yaml.safe_load(COMPOSE.read_text()), compose()
    for service in services.values():
        assert service.get("depends_on", {}).keys() <= services.keys()
        for name, wanted in service.get("depends_on", {}).items():
            assert wanted["condition"] != "service_healthy" or "healthcheck" in services[name]
        named = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert {name for name in named if not name.startswith(("$", ".", "/"))} <= whole["volumes"].keys()
        assert ":" in service["image"] or service["image"] == "mgi", "a version, or our own"
    hosts = {host for text in [COMPOSE.read_text()] for host in re.findall(r"//(?:[^@/\s]*@)?([a-z]+):\d", text)}
    assert hosts <= services.keys()


def test_only_this_machine_reaches_the_ports() -> None:
    ports = [port for service in compose().values() for port in service.get("ports", [])]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)


def test_the_daskjob_has_what_the_operator_asks_for() -> None:
    job = kubernetes()
    (cluster,) = _files_of("dask-kubernetes", "operator/customresources/daskjob.yaml")
    definition = yaml.safe_load(cluster.read_text())
    version = definition["spec"]["versions"][0]
    assert job["apiVersion"] == f"{definition['spec']['group']}/{version['name']}"
    assert job["kind"] == definition["spec"]["names"]["kind"]
    asked = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert job["spec"].keys() == asked["properties"].keys() == set(asked["required"])
    (templates,) = _files_of("dask-kubernetes", "operator/customresources/templates.yaml")
    known = yaml.safe_load(templates.read_text())["definitions"]["dask.k8s.api.v1.DaskCluster"]["properties"]["spec"]
    assert job["spec"]["cluster"]["spec"].keys() <= known["properties"].keys()
    assert set(known["required"]) <= job["spec"]["cluster"]["spec"].keys()


def test_pods_follow_the_schema_of_kubernetes() -> None:
    validate = pytest.importorskip("kubernetes_validate").validate
    spec = kubernetes()["spec"]
    parts = [spec["job"]["spec"], *(part["spec"] for part in spec["cluster"]["spec"].values())]
    service = spec["cluster"]["spec"]["scheduler"]["service"]
    resources = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": part} for part in parts]
    resources += [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": service}]
    resources += [yaml.safe_load((DEPLOY / "kubernetes" / "data.yaml").read_text())]
    for resource in resources:
        validate(resource, "1.30", strict=True)


def test_kustomize_puts_the_image_everywhere() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not here")
    done = subprocess.run(["kubectl", "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no kustomize here: {done.stderr.strip()}")
    images = re.findall(r"image: (.*)", done.stdout)
    assert images == ["mgi:latest"] * 3
    assert "scheduler: tcp" not in done.stdout and "tcp://mgi-scheduler:8786" in done.stdout
    assert f"{kubernetes()['metadata']['name']}-scheduler" == "mgi-scheduler"


ON_SLURM = DEPLOY / "slurm" / "on_slurm.py"


def test_the_slurm_job_starts_a_worker_for_one_unit() -> None:
    pytest.importorskip("dask_jobqueue")
    options = ["--cores", "6", "--memory", "12GB", "--gpus", "1", "--partition", "gpu", "--print-job"]
    command = [sys.executable, ON_SLURM, *options, "--", "resume", "runs/first"]
    script = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    for line in ("#SBATCH --cpus-per-task=6", "#SBATCH -p gpu", "#SBATCH --gres=gpu:1", "export OMP_NUM_THREADS=6"):
        assert line in script.splitlines()
    (worker,) = [line for line in script.splitlines() if "dask_worker" in line]
    assert "--nthreads 6" in worker and worker.endswith("--resources GPU=1 --memory-limit 0")
    assert "--nworkers" not in worker, "one process, which is Dask's default"


SBATCH = """#!/bin/sh
# What sbatch does, on this machine: it keeps a copy, because the script is removed when it returns, runs that in the
# background, and prints a number.
echo "$1" >> {folder}/submitted
cp "$1" {folder}/job.sh
setsid bash {folder}/job.sh > {folder}/job.log 2>&1 &
echo "Submitted batch job $!"
"""


@pytest.mark.slow
def test_a_run_on_slurm_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The jobs are real; only `sbatch` and `scancel` are stand-ins that start and end them here."""
    pytest.importorskip("dask_jobqueue")

    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in {"sbatch": SBATCH.format(folder=tmp_path), "scancel": '#!/bin/sh\nkill -- "-$1"\n'}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    inputs = make_inputs(tmp_path / "inputs", 2)
    mgi = ["translate", inputs / "sources", inputs / "exemplars", "--out", tmp_path / "run"]
    options = ["--jobs", "1", "--cores", "2", "--memory", "1GB", "--interface", "lo"]
    started = environment(PATH=f"{tools}:{Path(sys.executable).parent}:/usr/bin:/bin")
    done = subprocess.run(
        [sys.executable, ON_SLURM, *options, "--", *mgi, "--profile", inputs / "stub.toml"],
        env=started, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "several threads" not in done.stderr, "the workers declare MGI=1"
    assert len(list((tmp_path / "run" / "final").glob("*.png"))) == 2
    assert len((tmp_path / "submitted").read_text().splitlines()) == 1


def _files_of(package: str, ending: str) -> list[Path]:
    """Files of an installed package, without importing it; the test is skipped if it is not here."""
    try:
        found = files(package) or []
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    return [Path(str(file.locate())) for file in found if str(file).endswith(ending)]


def _verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield " ".join(path), command
        return
    for name, inner in command.commands.items():
        yield from _verbs(inner, (*path, name))
