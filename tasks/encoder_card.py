"""The card of a trained encoder: whose it is, what it learnt from, how good it is."""

from __future__ import annotations

from mgi.encoders.files import EncoderFacts
from mgi.training.encoders import EncoderConfig


def encoder_card(facts: EncoderFacts, config: EncoderConfig) -> str:
    """Markdown of a card."""
    errors = "\n".join(f"| {name} | {value:.4f} |" for name, value in facts.errors.items())
    settings = "\n".join(f"| {key} | {value} |" for key, value in config.model_dump(mode="json").items())
    adapted = f" It was adapted to pictures that went through: {facts.target}." if facts.target else ""
    damaged = facts.card.get("damaged")
    adapted += f" {config.damaged:.0%} of its samples went through {damaged} before they were read." if damaged else ""
    return f"""# Encoder ({facts.arch}) of {facts.generator}

From a picture of {facts.size} rows to latents of the generator (sha256 {facts.generator_sha256[:12]}...) in one pass,
trained by `mgi train encoder`.{adapted}
What the generator makes of its latents are **generated images**: label them so. The licence of that generator holds for
this file, too.

- Learnt from {facts.card["trained_on"]}, {facts.card["steps"]:,} steps.
- Licence of the pictures: {facts.card["licence"]}
- On held-out pictures (squared error of pixels in [-1, 1]; perceptual: features of EfficientNet-Lite0 at unit length;
  explained: share of the coordinates' variance):

| error | value |
|---|---|
{errors}

| setting | value |
|---|---|
{settings}
"""
