"""The card of a critic: what it reads, how often it is right, and whose licence it has."""

from __future__ import annotations

from typing import Any

from mgi.critics import CriticFacts


def critic_card(facts: CriticFacts) -> str:
    """Markdown of a card."""
    card = facts.card
    shares = "\n".join(f"| {kind} | {share:.1%} |" for kind, share in facts.right.items())
    return f"""# Critic of {facts.generator}

Says which of two pictures is more like this generator's samples (sha256 {facts.generator_sha256[:12]}...). Made by
`mgi train critic {facts.generator}` from pairs whose better one is known (`mgi/training/constructed.py`), without
other pictures. The licence of the generator holds for it, too.

- Reads {facts.layer} of {facts.backbone} on pictures of {facts.rows} x {facts.rows}, in the components of the domain's
  statistics of {facts.samples} samples.
- {card["samples"]:,} samples{_inverted(card)}, a fifth of them held out; {card["steps"]:,} steps,
  {card["seconds"] / 60:.0f} minutes.

| held-out pairs | right |
|---|---|
{shares}
"""


def _inverted(card: dict[str, Any]) -> str:
    if not (count := card.get("inverted", 0)):
        return ""
    median = f"{card['spread']:.2f}"
    return f" and the results of {count:,} translations, whose numbers differ by {median} (median of those held out)"
