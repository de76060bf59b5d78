"""The model card of a trained generator: what it is, its data, their licence, how long it trained, how good it is."""

from __future__ import annotations

from typing import Any


def card_text(facts: dict[str, Any]) -> str:
    """Markdown of a card.

    Args:
        facts: the run's header with `best` {score, step}, `images_seen`, `real` (score of real images), `network`,
            `samples` and, if it was adapted, `kind` and, if it is known, `parent_licence`.
    """
    config, best = facts["config"], facts["best"]
    settings = "\n".join(f"| {key} | {_show(value)} |" for key, value in config.items())
    return f"""# Generator, {config["resolution"]} x {config["resolution"]} pixels

{_origin(facts)} What it makes are
**generated images**, not real ones: label them so.

- Data: {facts["trained_on"]} images trained on, {facts["held_out"]} held out for the score. Licence: {facts["licence"]}
- Trained for {best["step"]:,.0f} steps, {facts["images_seen"]:,} images shown to the discriminator.
- Frechet distance to the held-out images: **{best["score"]:.3f}** ({facts["network"]}; {facts["samples"]} samples of
  the running average of the weights against {facts["held_out"]} images). As many real training images score
  {facts["real"]:.3f}. The unit is the total variance of the held-out features; this is not the Inception distance of
  the literature.

| setting | value |
|---|---|
{settings}
"""


def _origin(facts: dict[str, Any]) -> str:
    config = facts["config"]
    if not config.get("parent"):
        return "A PGGAN in mGANprior's layout (half precision), trained from scratch by `mgi train generator`."
    licence = facts.get("parent_licence") or "not stated in its file"
    return (
        f"A {facts['kind']} (half precision), adapted by `mgi train generator --from {config['parent']}`\n"
        f"(sha256 {config['parent_sha256'][:12]}...). The licence of that generator holds for this one, too:\n"
        f"{licence}."
    )


def _show(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
