"""Learning a critic from a generator's samples, and writing it with its card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgi.config import ConfigError, RunConfig
from storage.atomic import write_text
from tasks.train_settings import check_out, check_settings

if TYPE_CHECKING:
    from torch import Tensor

    from mgi.training.critics import Invert

MAY_BE_ZERO = ("seed", "weight_decay", "inverted")


def train_critic(
    generator: str,
    out: Path,
    settings: dict[str, Any],
    profile: str,
    overrides: dict[str, Any],
    threads: int | None = None,
    progress: Callable[[str, int, int, str], None] | None = None,
) -> dict[str, float]:
    """Learn a critic and write it to `out`, its card beside it.

    Returns:
        The share of held-out pairs that it is right on, by kind.

    Args:
        generator: name or file.
        out: the file.
        settings: of the training.
        profile: of the runs that it is for: network, layer and samples of `selection`, size of the pictures.
        overrides: of the profile.
        threads: of the CPU.
        progress: told about every phase.

    Raises:
        ConfigError: a setting that does not exist or fit, or a file that cannot be written.
        mgi.weights.WeightsError, mgi.generators.GeneratorError: the generator cannot be loaded.
    """
    import torch

    from mgi.devices import best_device
    from mgi.features import load_backbone
    from mgi.generators import is_styled
    from mgi.memory import keep_freed_memory
    from mgi.profiles import load_config
    from mgi.scoring import load_domain
    from mgi.scoring.critic import write_critic
    from mgi.training.critic_card import critic_card
    from mgi.training.critics import CriticConfig
    from mgi.training.critics import train_critic as learn
    from mgi.weights import load_generator
    from mgi.weights.identity import generator_sha256

    check_out(out)
    check_settings(settings, vars(CriticConfig()), MAY_BE_ZERO)
    config = load_config(profile, {**overrides, "generator": generator, "selection.domain": "generator"})
    if threads is not None:
        torch.set_num_threads(threads)
    keep_freed_memory()
    device = best_device()
    network, backbone = load_generator(generator, device), load_backbone(config.selection.backbone, device)
    size = min(config.warp.image_size, network.resolution)
    wanted = CriticConfig(**settings)
    if wanted.inverted and not is_styled(network):
        raise ConfigError(
            f"inverted: {generator} has no styles to mix, so no translation has a known truth; leave it at 0"
        )
    if wanted.inverted and network.resolution < config.warp.image_size:
        raise ConfigError(
            f"inverted: {generator} makes {network.resolution} rows, and warps are to have {config.warp.image_size}; "
            f"use --set warp.image_size={network.resolution}, or leave it at 0"
        )
    domain = load_domain(config, backbone, device, size, lambda: network)
    named = (generator, generator_sha256(generator))
    invert = _translate_by_all(config) if wanted.inverted else None
    critic, facts = learn(network, backbone, domain, named, size, wanted, progress, invert)
    write_critic(out, critic, facts)
    write_text(out.with_suffix(".md"), critic_card(facts))
    return dict(facts.right)


def _translate_by_all(config: RunConfig) -> Invert:
    """Translates by every hypothesis of a configuration."""
    from mgi.images import to_float, to_uint8
    from mgi.translators import load_translator
    from mgi.translators.inversion.whole import invert_all

    translator: Any = load_translator(config)

    def translate(source: Tensor, exemplar: Tensor, seed: int) -> list[Tensor]:
        pictures = [to_uint8(image)[0] for image in (source, exemplar)]
        warped = translator.warp(*pictures, seed=seed)
        results = invert_all(translator, warped, pictures[1], seed, source=pictures[0])
        return [
            to_float(translator.preview(result.arrays, hypothesis), source.device)
            for hypothesis, result in results.items()
        ]

    return translate
