"""The study's server: a page, pictures, and votes; nothing that tells which option is which method."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from tasks.report.template import page_template
from tasks.study.build import PICTURES, read_study
from tasks.study.votes import Vote, cast, votes_of

Text = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]


class Answer(BaseModel):
    """What the page sends."""

    participant: Text
    set_id: Text
    question: Text
    choice: Text


def study_app(folder: str) -> FastAPI:
    """The application that serves the study in a folder.

    Raises:
        mgi.config.ConfigError: there is none.
    """
    study = read_study(folder)
    app = FastAPI(title="mgi study", docs_url=None, redoc_url=None, openapi_url=None)
    questions = {question["id"] for question in study["questions"]}
    options = {found["id"]: {option["id"] for option in found["options"]} for found in study["sets"]}

    html = page_template("tasks.study", "study.html.j2").render(title=study["title"])

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        return html

    @app.get("/api/study")
    def sets(participant: str) -> dict[str, Any]:
        """Sets and options in an order of the participant's own, which reloading keeps; answers given so far."""
        chance = random.Random(participant)
        shuffled = [
            {**found, "options": chance.sample(found["options"], len(found["options"]))} for found in study["sets"]
        ]
        chance.shuffle(shuffled)
        answers = [vote._asdict() for vote in votes_of(folder, participant)]
        return {"questions": study["questions"], "sets": shuffled, "answers": answers}

    @app.post("/api/vote")
    def vote(answer: Answer) -> dict[str, bool]:
        if answer.question not in questions or answer.choice not in options.get(answer.set_id, ()):
            raise HTTPException(422, "no such set, question or option")
        cast(folder, Vote(answer.participant, answer.set_id, answer.question, answer.choice))
        return {"kept": True}

    app.mount("/pictures", StaticFiles(directory=Path(folder) / PICTURES), name="pictures")
    return app
