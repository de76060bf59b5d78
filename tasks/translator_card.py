"""The card of a trained translator: what it learnt from, how good it is, under which settings."""

from __future__ import annotations

from collections.abc import Mapping

from mgi.systems.files import TranslatorFacts


def translator_card(facts: TranslatorFacts, scores: Mapping[str, float]) -> str:
    """Markdown of the card."""
    made = f" Its sources are made of pictures by `{facts.condition}`." if facts.condition else ""
    table = "\n".join(f"| {name} | {value:.4f} |" for name, value in scores.items())
    settings = "\n".join(f"| {key} | {value} |" for key, value in facts.settings.items())
    return f"""# Translator ({facts.system})

Trained by `mgi train translator {facts.system}` on {facts.images:,} pictures for {facts.steps:,} steps.{made}
What it makes are **generated images**: label them so.

- Licence of the pictures: {facts.licence}
- On held-out pictures (frechet: relative Frechet distance of VGG-16 features, 0 is perfect, 1 is the mean of the real
  features; l1: to the true picture, in [-1, 1]); chosen by: {facts.measured}

| score | value |
|---|---|
{table}

| setting | value |
|---|---|
{settings}
"""
