"""A run of any size that lies nowhere: a store whose plan and markers are worked out when they are asked for.

With `odd`, pairs differ as those of real runs do: some are set aside or not begun, lanes fail, metrics do not apply,
names are formulas, and measures turn up late or are numbers in one pair and text in another.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mgi.config import RunConfig
from storage.run_store import Quarantined

METRICS = ("structure@00000000", "psnr@11111111", "ssim@22222222")


def made_up_config(hypotheses: int) -> RunConfig:
    """A configuration of so many hypotheses, at most 6 layers of 20."""
    ids = [f"L{4 + number % 6:02d}N{10 + number // 6:02d}" for number in range(hypotheses)]
    return RunConfig.model_validate({"inversion": {"hypotheses": ids, "steps": 5}, "warp": {"image_size": 32}})


class MadeUpRun:
    """What a report asks of a `RunStore`."""

    def __init__(self, path: Path, pairs: int, hypotheses: int, odd: bool = False) -> None:
        self.path, self.count, self.odd, self.config = path, pairs, odd, made_up_config(hypotheses)
        self.header = {
            "config": self.config.model_dump(mode="json"),
            "digest": self.config.digest(),
            "inputs": {"sources": "/in/s", "exemplars": "/in/e", "pairing": "zip", "limit": None, "seed": 0},
            "metrics": {"keys": list(METRICS)},
            "changes": [],
        }
        self._scores = {id: number % 7 for number, id in enumerate(self._ids)}

    @cached_property
    def _ids(self) -> list[str]:
        return [hypothesis.id for hypothesis in self.config.hypotheses()]

    @property
    def pairs(self) -> pd.DataFrame:
        sources = [f"s{number:06d}.png" for number in range(self.count)]
        if self.odd and self.count > 5:
            sources[5] = '=HYPERLINK("a",\r"b")'
        exemplars = [f"e{number:06d}.png" for number in range(self.count)]
        return pd.DataFrame(
            {"index": range(self.count), "id": self.pair_ids(), "source": sources, "exemplar": exemplars}
        )

    def pair_ids(self) -> list[str]:
        return [f"pair-{number:06d}" for number in range(self.count)]

    def quarantined(self) -> dict[str, Quarantined]:
        apart = range(3, self.count, 97) if self.odd else ()
        return {f"pair-{number:06d}": Quarantined("warp", "+no picture") for number in apart}

    def payload(self, stage: str, key: str) -> dict[str, Any] | None:
        pair, _, what = key.partition(".")
        number = int(pair.removeprefix("pair-"))
        if self.odd and (number % 97 == 3 or number % 101 == 7):
            return None
        found: dict[str, Any] = getattr(self, f"_{stage}")(number, what)
        return found

    def _warp(self, number: int, what: str) -> dict[str, Any]:
        info: dict[str, Any] = {"warp_method": "plain", "seconds": 0.5}
        notes = []
        if self.odd:
            info |= {"aligned": "face"} if number % 3 else {}
            info |= {"mixed": "late" if number % 200 == 150 else number}
            notes = ["first of 3 frames"] if number % 90 == 80 else []
        return {"info": info, "notes": notes, "seconds": 0.125 * (number % 5)}

    def _invert(self, number: int, what: str) -> dict[str, Any]:
        rank = self._scores[what]
        if self.odd and (number + rank) % 31 == 0:
            return {"measures": {}, "failed": "-the loss became NaN", "seconds": 2.0}
        loss = ((number * 7919 + rank * 104729) % 99991) / 99991 + 0.01
        measures = {"loss": loss, "l2_before": 1.0, "l2_after": loss / 3, "vgg_before": 2.0, "vgg_after": loss / 7}
        measures |= {"steps": 5, "true_l2": loss / 11, "seconds": 0.1 + loss}
        if self.odd and number == self.count - 1:
            measures |= {"restarts": rank, "=extra": "1.5" if rank else None}
        return {"measures": measures, "failed": None, "seconds": 2.0}

    def _score(self, number: int, what: str) -> dict[str, Any]:
        scores = {id: {"spatial-fd": 1.0 + rank / 3, "sifid": 2.0} for id, rank in self._scores.items()}
        return {"scores": scores, "seconds": 0.5}

    def _select(self, number: int, what: str) -> dict[str, Any]:
        chosen, guarded = self._ids[number % len(self._ids)], self._ids[-1:]
        return {"hypothesis": chosen, "rule": "spatial-fd", "value": 1.5, "guarded": guarded, "seconds": 0.25}

    def _evaluate(self, number: int, what: str) -> dict[str, Any]:
        name = what.partition("@")[0]
        value, failed = (number * 31 % 1009) / 1009, None
        if self.odd and name == "structure" and number < 70:
            value = None
        if self.odd and name == "psnr" and number % 40 == 1:
            value, failed = None, "the image is black"
        about = {"summary": f"how {name} it is", "unit": "dB" if name == "psnr" else "", "higher_is_better": True}
        about |= {"rows": 128, "version": 1, "networks": []}
        return {"metric": name, "value": value, **about, "seconds": 0.01, "failed": failed}

    def marker(self, stage: str, key: str) -> dict[str, Any] | None:
        return {"stage": stage, "key": key}

    def value(self, stage: str, key: str, array: str) -> np.ndarray:
        if array.startswith("loss/"):
            return np.geomspace(1, 0.1, 5).astype(np.float32)
        return np.full((32, 32, 3), 99, np.uint8)

    def has(self, array: str) -> bool:
        return True
