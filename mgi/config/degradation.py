"""What `inversion.degradation` may say: kinds joined by +."""

from __future__ import annotations

import re

DEGRADATIONS = re.compile(r"\+(?=(?:gray|rain|rain-layers|mask|strokes|down\d+|noise\d+|jpeg\d+)(?:[+:]|$))")
"""Where one kind ends and the next begins; files of masks may have a plus in their names."""
_ORDER = ("mask", "strokes", "rain", "rain-layers", "gray", "down", "noise", "jpeg")
_KINDS = "none, down2 to down16, gray, rain, rain-layers, mask, mask:FILE, strokes, noiseN (levels), jpegQ (quality)"


def parse_degradation(spec: str) -> tuple[tuple[str, str], ...]:
    """(("mask", "hole.png"), ("down", "4")) of "mask:hole.png+down4", () of "none".

    Raises:
        ValueError: an unknown kind, or an order that cannot be: pictures are obstructed, then reduced, then spoilt.
    """
    if spec == "none":
        return ()
    steps = tuple(_parse_step(step, spec) for step in DEGRADATIONS.split(spec))
    places = [max(3, _ORDER.index(kind)) for kind, _ in steps]
    if places != sorted(places) or len({kind for kind, _ in steps}) < len(steps):
        raise ValueError(
            f"expected each kind once: masks and rain, then gray, then downN, then noise and jpeg; found {spec!r}"
        )
    return steps


def _parse_step(text: str, spec: str) -> tuple[str, str]:
    kind, colon, argument = text.partition(":")
    if text in ("gray", "rain", "rain-layers", "mask", "strokes"):
        return text, ""
    if kind == "mask" and argument:
        return kind, argument
    if not colon and text.removeprefix("down") in ("2", "4", "8", "16"):
        return "down", text.removeprefix("down")
    for what, least, most in (("noise", 1, 100), ("jpeg", 1, 95)):
        amount = text.removeprefix(what)
        if text.startswith(what) and amount.isascii() and amount.isdigit() and least <= int(amount) <= most:
            return what, amount
    raise ValueError(f"expected {_KINDS}, or several joined by +, found {spec!r}")
