"""The card of a descriptor: what it reads and says, how well, and whose licence it has."""

from __future__ import annotations

from mgi.features.descriptor import DescriptorFacts


def descriptor_card(facts: DescriptorFacts) -> str:
    """Markdown of a card."""
    card = facts.card
    layers = ", ".join(map(str, facts.generator_layers))
    return f"""# Descriptor of {facts.generator}

Reads the features that this generator (sha256 {facts.generator_sha256[:12]}...) would have at every place of a picture.
Made by `mgi train descriptor {facts.generator}` from the generator's own samples, without labels or other pictures. The
licence of the generator holds for it, too.

- Reads {", ".join(facts.layers)} of {facts.backbone} on pictures of 256 x 256; says the features after layers
  {layers} at 64 x 64, whose channels are standardised and reduced to those that keep {card["outputs_keep"]:.1%} of the
  variance.
- Explains **{facts.explained:.1%}** of their variance on samples that it never saw; its linear part alone
  {card["explained_linear"]:.1%}.
- {card["samples"]:,} samples, {card["steps"]:,} steps, {card["seconds"] / 60:.0f} minutes.
"""
