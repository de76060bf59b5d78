"""The cards of trained encoders and fusions: whose they are, what they learnt from, how good they are."""

from __future__ import annotations

from mgi.encoders.files import EncoderFacts
from mgi.encoders.fusion import FusionFacts
from mgi.training.encoders import EncoderConfig


def encoder_card(facts: EncoderFacts, config: EncoderConfig) -> str:
    """Markdown of an encoder's card."""
    adapted = f" It was adapted to pictures that went through: {facts.target}." if facts.target else ""
    damaged = facts.card.get("damaged")
    adapted += f" {config.damaged:.0%} of its samples went through {damaged} before they were read." if damaged else ""
    return f"""# Encoder ({facts.arch}) of {facts.generator}

From a picture of {facts.size} rows to latents of the generator (sha256 {facts.generator_sha256[:12]}...) in one pass,
trained by `mgi train encoder`.{adapted}
What the generator makes of its latents are **generated images**: label them so. The licence of that generator holds for
this file, too.

{_shared(facts, config)}"""


def fusion_card(facts: FusionFacts, config: EncoderConfig) -> str:
    """Markdown of a fusion's card."""
    return f"""# Consultation fusion (HFGI) of {facts.generator}

What the encoder {facts.encoder} (sha256 {facts.encoder_sha256[:12]}...) loses of a picture is put back into the
generator's features of 64 rows (sha256 {facts.generator_sha256[:12]}...), trained by `mgi train encoder --arch hfgi`.
Both networks stay as they are. What comes out are **generated images**: label them so. The licences of that generator
and encoder hold for this file, too.

{_shared(facts, config)}"""


def _shared(facts: EncoderFacts | FusionFacts, config: EncoderConfig) -> str:
    errors = "\n".join(f"| {name} | {value:.4f} |" for name, value in facts.errors.items())
    settings = "\n".join(f"| {key} | {value} |" for key, value in config.model_dump(mode="json").items())
    return f"""- Learnt from {facts.card["trained_on"]}, {facts.card["steps"]:,} steps.
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
