"""User studies: blind, shuffled, kept through kill -9, counted with intervals, and usable in a real browser."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import httpx
import pytest
from ports import free_port
from runs import environment, make_inputs
from small_suite import mgi, suite_file

from flows.study_server import study_app
from mgi.intervals import wilson
from tasks.study.build import ATTENTION, DECOY
from tasks.study.tally import tally
from tasks.study.votes import Vote, cast, votes_of

pytestmark = pytest.mark.usefixtures("stub")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of two methods and two sets."""
    inputs, out = make_inputs(tmp_path / "inputs", 3), tmp_path / "out"
    suite = suite_file(inputs, 'name = "mgi"', 'name = "mganprior"', sets="[]")
    assert mgi("evaluate", suite, "--out", out).exit_code == 0
    built = mgi("study", "build", out, "--out", tmp_path / "study", "--sets", "2")
    assert built.exit_code == 0 and "2 sets of 2 methods, 1 checks" in built.stdout, built.output
    return tmp_path / "study"


class Client:
    """Asks the application in this process; starlette's own client wants another version of httpx."""

    def __init__(self, study: Path) -> None:
        self._app = study_app(str(study))

    def ask(self, method: str, url: str, **more: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://study") as client:
                return await client.request(method, url, **more)

        return asyncio.run(asked())

    def get(self, url: str, **more: Any) -> httpx.Response:
        return self.ask("GET", url, **more)


def key(study: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((study / "key.json").read_text())
    return found


def options(study: Path) -> dict[str, dict[str, str]]:
    """{set: {method: option}}."""
    sets, names = json.loads((study / "study.json").read_text())["sets"], key(study)
    return {found["id"]: {names[option["id"]]: option["id"] for option in found["options"]} for found in sets}


def test_the_page_and_the_pictures_do_not_say_which_method_it_is(study: Path) -> None:
    client = Client(study)
    seen = client.get("/").text + json.dumps(client.get("/api/study", params={"participant": "a"}).json())
    assert not re.search("mgi(?! study)|mganprior|attention|decoy", seen.replace("<title>", ""))
    assert client.get("/key.json").status_code == 404 and client.get("/pictures/../key.json").status_code == 404
    picture = client.get("/api/study", params={"participant": "a"}).json()["sets"][0]["options"][0]["picture"]
    data = client.get(f"/pictures/{picture}")
    assert data.status_code == 200 and data.content[:2] == b"\xff\xd8" and b"mgi" not in data.content


def test_everybody_has_an_order_of_their_own_and_keeps_it(study: Path) -> None:
    client = Client(study)

    def order(participant: str) -> list[Any]:
        sets = client.get("/api/study", params={"participant": participant}).json()["sets"]
        return [(found["id"], [option["id"] for option in found["options"]]) for found in sets]

    assert order("ann") == order("ann")
    assert len({json.dumps(order(f"p{number}")) for number in range(12)}) > 3
    assert {name for name, _ in order("ann")} == {"s01", "s02", "c01"}


def answer(client: Client, participant: str, set_id: str, question: str, choice: str) -> int:
    sent = {"participant": participant, "set_id": set_id, "question": question, "choice": choice}
    return client.ask("POST", "/api/vote", json=sent).status_code


def test_a_second_answer_takes_the_place_of_the_first(study: Path) -> None:
    client, known = Client(study), options(study)
    for method in ("mgi", "mgi", "mganprior"):
        assert answer(client, "ann", "s01", "quality", known["s01"][method]) == 200
    assert votes_of(str(study)) == [Vote("ann", "s01", "quality", known["s01"]["mganprior"])]
    assert client.get("/api/study", params={"participant": "ann"}).json()["answers"][0]["set_id"] == "s01"
    assert client.get("/api/study", params={"participant": "bob"}).json()["answers"] == []


def test_what_is_no_answer_is_refused(study: Path) -> None:
    client, known = Client(study), options(study)
    assert answer(client, "ann", "s01", "quality", known["s02"]["mgi"]) == 422  # of another set
    assert answer(client, "ann", "s01", "beauty", known["s01"]["mgi"]) == 422
    assert answer(client, "'; DROP TABLE votes", "s01", "quality", known["s01"]["mgi"]) == 422
    assert votes_of(str(study)) == []


def test_the_tally_leaves_out_who_failed_a_check(study: Path) -> None:
    known, folder = options(study), str(study)
    for person in range(9):
        method = "mgi" if person < 7 else "mganprior"
        for set_id in ("s01", "s02"):
            cast(folder, Vote(f"p{person}", set_id, "quality", known[set_id][method]))
        cast(folder, Vote(f"p{person}", "c01", "quality", known["c01"][ATTENTION]))
    for set_id in ("s01", "s02"):
        cast(folder, Vote("robot", set_id, "quality", known[set_id]["mganprior"]))
    cast(folder, Vote("robot", "c01", "quality", known["c01"][DECOY]))
    found = tally(folder)
    assert (found.participants, found.excluded) == (10, 1)
    first = found.shares[0]
    assert (first.question, first.method, first.votes, first.total) == ("quality", "mgi", 14, 18)
    assert (first.low, first.high) == wilson(14, 18) and first.low < 14 / 18 < first.high
    said = mgi("study", "tally", study, "--export", study / "votes.csv").stdout
    assert "mgi" in said and " 77.8 %" in said and "10 participants, 1 left out" in said
    assert (study / "votes.csv").read_text().count("robot") == 3


def test_wilson_holds_the_share_about_as_often_as_it_says() -> None:
    import numpy as np

    random = np.random.default_rng(0)
    for share in (0.05, 0.5, 0.9):
        ends = [wilson(int(votes), 40) for votes in random.binomial(40, share, 1000)]
        assert 0.92 < np.mean([low <= share <= high for low, high in ends]) < 0.99


def test_a_port_that_is_taken_is_one_line(study: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = mgi("study", "serve", study, "--port", str(taken.getsockname()[1]))
    assert done.exit_code == 2 and "choose another --port" in done.output and done.output.count("\n") == 1, done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--sets", "9"), "only 3 pairs are done by all of"),
        (("--methods", "mgi"), "at least two methods"),
        (("--methods", "mgi,oeft"), "oeft is no finished row"),
    ],
)
def test_a_study_that_cannot_be_built_says_why(study: Path, arguments: tuple[str, ...], said: str) -> None:
    done = mgi("study", "build", study.parent / "out", "--out", study.parent / "other", *arguments)
    assert done.exit_code == 2 and said in done.output
    assert not (study.parent / "other" / "study.json").exists()
    again = mgi("study", "build", study.parent / "out", "--out", study, "--sets", "2")
    assert again.exit_code == 2 and "holds a study already" in again.output
    assert "expected a study" in mgi("study", "tally", study.parent).output


@contextmanager
def served(study: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`mgi study serve` in a process of its own."""
    arguments = ("study", "serve", str(study), "--port", str(port))
    command = [sys.executable, "-c", "from flows.cli import main; main()", *arguments]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2):
                    break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


def post(port: int, vote: Vote) -> bool:
    """Whether the server says that it kept a vote."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/vote",
        data=json.dumps(vote._asdict()).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as said:
            return bool(json.load(said)["kept"])
    except (OSError, HTTPException):  # refused, or cut off in the middle of its answer
        return False


@pytest.mark.slow
def test_what_the_page_was_told_is_kept_survives_kill_9(study: Path) -> None:
    known, port, kept = options(study), free_port(), []
    with served(study, port) as process, ThreadPoolExecutor(4) as pool:
        votes = [Vote(f"p{number}", "s01", "quality", known["s01"]["mgi"]) for number in range(60)]
        answers = pool.map(lambda vote: (vote, post(port, vote)), [*votes, *votes])  # everything twice
        for number, (vote, told) in enumerate(answers):
            if told:
                kept.append(vote)
            if number == 40:
                os.kill(process.pid, signal.SIGKILL)
    assert len(kept) >= 30
    stored = votes_of(str(study))
    assert set(kept) <= set(stored) and len(stored) == len(set(stored))
    with closing(sqlite3.connect(study / "votes.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with served(study, port):
        assert post(port, votes[-1])


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [500, 1300])
def test_a_browser_takes_part(study: Path, tmp_path: Path, width: int) -> None:
    """A script clicks through the page as a person would, on a narrow screen and on a wide one."""
    from browser import chromium

    port = free_port()
    with served(study, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            page = answer.read().decode()
        check = """<script>
          const wide = [];
          const step = setInterval(() => {
            const rows = [...document.querySelectorAll(".options")];
            wide.push(document.documentElement.scrollWidth <= document.documentElement.clientWidth);
            const open = rows.find((row) => !row.querySelector("[aria-pressed=true]"));
            if (open) open.querySelector("button").click();
            else if (!document.getElementById("next").disabled) document.getElementById("next").click();
            else if (document.body.textContent.includes("Thank you")) {
              clearInterval(step);
              document.title = JSON.stringify(["done", wide.every(Boolean), wide.length > 3]);
            }
          }, 50);
        </script></body>"""
        probe = tmp_path / "probe.html"
        base = f'<head><base href="http://127.0.0.1:{port}/">'
        probe.write_text(page.replace("<head>", base).replace("</body>", check), encoding="utf-8")
        dom = chromium(
            tmp_path,
            f"--window-size={width},900",
            "--disable-web-security",
            "--virtual-time-budget=20000",
            "--dump-dom",
            probe.as_uri(),
        )
    assert '<title>["done",true,true]</title>' in dom
    votes = votes_of(str(study))
    assert len(votes) == 6 and len({vote.participant for vote in votes}) == 1
