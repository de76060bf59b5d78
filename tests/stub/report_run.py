"""A run whose store is filled by hand, and its page as a parser sees it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mgi.config import RunConfig
from mgi.pairs import Hypothesis, Pair
from storage.images import write_png
from storage.run_store import ArraySpec, RunStore

HYPOTHESES = ("L04N10", "L05N20", "L06N30")
ODD = "<script>alert('1')</script> & \"é#1?%20\".png"
PAIRS = (Pair("a.png", "b.png"), Pair("a.png", ODD), Pair("broken.png", "b.png"), Pair("later.png", "b.png"))
SIZE, STEPS = 32, 12


class FakeMethod:
    """Counts the pictures it is asked for."""

    def __init__(self) -> None:
        self.previews = 0

    def lane_arrays(self, hypothesis: Hypothesis) -> dict[str, tuple[tuple[int, ...], str]]:
        return {"latents": ((4,), "float32")}

    def preview(self, arrays: dict[str, np.ndarray], hypothesis: Hypothesis) -> np.ndarray:
        self.previews += 1
        assert arrays["latents"].shape == (4,)
        return np.full((SIZE, SIZE, 3), 10 * hypothesis.composing_layer, np.uint8)


def small_config() -> RunConfig:
    inversion = {"hypotheses": HYPOTHESES, "steps": STEPS}
    return RunConfig.model_validate({"inversion": inversion, "warp": {"image_size": SIZE}})


def create(folder: Path, config: RunConfig) -> RunStore:
    """A run of four pairs in which nothing is done."""
    arrays = {f"warp/{name}": ArraySpec((SIZE, SIZE, 3), "uint8") for name in ("source", "exemplar", "warp")}
    for id in HYPOTHESES:
        arrays |= {f"loss/{id}": ArraySpec((STEPS,), "float32"), f"latents/{id}": ArraySpec((4,), "float32")}
    table = pd.DataFrame(
        [{"index": i, "id": p.id, "source": p.source, "exemplar": p.exemplar} for i, p in enumerate(PAIRS)]
    )
    inputs = {"sources": "/in/my sources", "exemplars": "/in/exemplars", "pairing": "product", "limit": None, "seed": 7}
    header = {"config": config.model_dump(mode="json"), "digest": config.digest(), "inputs": inputs}
    header |= {
        "versions": {"torch": "2.x"},
        "weights": {},
        "git_revision": None,
        "created": "2026-01-02T03:04:05+00:00",
    }
    return RunStore.create(folder, header, table, arrays)


def fill(store: RunStore, index: int, pair: Pair, failed: str | None) -> None:
    names = [f"warp/{name}" for name in ("source", "exemplar", "warp")]
    for shade, name in enumerate(names):
        store.write(name, index, np.full((SIZE, SIZE, 3), 50 * shade + index, np.uint8))
    warp: dict[str, Any] = {"info": {"aligned_source": "face"}, "notes": ["b.png: first of 3 frames"], "seconds": 1.0}
    store.publish("warp", pair.id, pair_index=index, arrays=names, payload=warp)
    scores = {}
    for rank, id in enumerate(HYPOTHESES):
        key, lane = f"{pair.id}.{id}", {"measures": {}, "failed": "the loss became NaN", "seconds": 2.0}
        arrays = []
        if id != failed:
            arrays = [f"loss/{id}", f"latents/{id}"]
            store.write(f"loss/{id}", index, np.geomspace(1, 0.1 + rank, STEPS).astype(np.float32))
            store.write(f"latents/{id}", index, np.full(4, rank, np.float32))
            lane |= {"measures": {"loss": 0.1 + rank, "l2_before": 1.0, "l2_after": 0.5}, "failed": None}
            scores[id] = {"spatial-fd": 1.0 + rank, "sifid": 2.0}
        store.publish("invert", key, pair_index=index, arrays=arrays, payload=lane)
    store.publish("score", pair.id, pair_index=index, payload={"scores": scores, "seconds": 0.5})
    write_png(store.path / "final" / f"{pair.id}.png", np.full((4 * SIZE, 4 * SIZE, 3), 99, np.uint8))
    choice = {"hypothesis": "L04N10", "rule": "spatial-fd", "value": 1.0, "guarded": ["L05N20"], "seconds": 0.25}
    store.publish("select", pair.id, pair_index=index, payload=choice, files=[f"final/{pair.id}.png"])


def view_of(store: RunStore, pair: Pair) -> dict[str, Any]:
    """What the page's script is given of one pair, once somebody looks at it."""
    first, call = (store.path / "report" / pair.id / "pair.js").read_text(encoding="utf-8").splitlines()
    assert first.startswith("// ") and call.startswith("mgiPair(") and call.endswith(");")
    found: dict[str, Any] = json.loads(call.removeprefix("mgiPair(").removesuffix(");"))
    return found


class Page(HTMLParser):
    """Elements as (tag, attributes), and all text outside style and script."""

    void = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text, self.script = "", ""
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][1].get("id") == "run":
            self.script += data
        if not {"style", "script"} & set(self.open):
            self.text += data

    @property
    def run(self) -> dict[str, Any]:
        """What the page's script is given: the list of pairs and the mean loss curves."""
        found: dict[str, Any] = json.loads(self.script)
        return found

    def all(self, tag: str, css: str | None = None) -> list[dict[str, str]]:
        return [a for name, a in self.elements if name == tag and (css is None or css in a.get("class", "").split())]

    def links(self) -> list[str]:
        return [a[key] for _, a in self.elements for key in ("href", "src") if key in a]
