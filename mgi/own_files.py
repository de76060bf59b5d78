"""The user's own files that decide what a configuration computes: generator, mask, domain, a method's own options.

Their content counts, not their name: a run keeps their hashes and refuses to continue with other files.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from pathlib import Path

from mgi.config import ConfigError, RunConfig, parse_degradation
from mgi.near import near
from mgi.weights.identity import content_hashes, generator_names
from mgi.weights.learnt import learnt_descriptor

ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
"""Pictures of a domain."""


def own_hashes(config: RunConfig) -> dict[str, str]:
    """{name in run.json: sha256} of the configuration's own files, as far as they are here."""
    hashes: dict[str, str] = {}
    generator = Path(config.generator)
    if config.generator not in generator_names() and generator.is_file():
        hashes[config.generator] = content_hashes([generator], generator)[0]
    for named, _ in _learnt_files(config).values():
        if (file := Path(named).expanduser()).is_file():
            hashes[named] = content_hashes([file], file)[0]
    samples = config.warp.descriptor_samples
    if samples and (learnt := learnt_descriptor(config.generator, samples)).is_file():
        hashes[f"descriptor of {config.generator}"] = content_hashes([learnt], learnt)[0]
    for name in option_files(config):
        if (given := Path(name).expanduser()).is_file():
            hashes[name] = content_hashes([given], given)[0]
        elif found := sorted(file for file in given.rglob("*") if file.is_file()):
            hashes[name] = folder_sha256(given, found)
    mask = _mask(config)
    if mask is not None and mask.is_file():
        hashes[mask.name] = content_hashes([mask], mask)[0]
    files = _pictures(config)
    if files:
        hashes[config.selection.domain] = folder_sha256(Path(config.selection.domain), files)
    return hashes


def require_own_files(config: RunConfig) -> None:
    """Check that every file and folder that the configuration names is there.

    Raises:
        ConfigError: one is missing; one line that names it.
    """
    generator, names = Path(config.generator), generator_names()
    if config.generator not in names and not generator.is_file():
        what = "is a folder, not a checkpoint" if generator.is_dir() else "does not exist"
        what += near(generator.name, names)
        raise ConfigError(f"generator: {generator} {what}; give a checkpoint file or one of {', '.join(names)}")
    for key, (named, what) in _learnt_files(config).items():
        if not Path(named).expanduser().is_file():
            raise ConfigError(f"{key}: {named} is no file; give one that `mgi train {what}` made, or none")
    mask = _mask(config)
    if mask is not None and not mask.is_file():
        raise ConfigError(f"inversion.degradation: mask {mask} does not exist; give a picture; white means missing")
    if config.selection.domain != "generator":
        domain_files(config)


def domain_files(config: RunConfig) -> list[Path]:
    """The pictures in the folder `selection.domain` that are used, by name.

    Raises:
        ConfigError: there is no such folder, or it holds fewer than two pictures.
    """
    folder = Path(config.selection.domain)
    if not folder.is_dir():
        raise ConfigError(f"selection.domain must be 'generator' or a folder of images, found {str(folder)!r}")
    files = _pictures(config)
    if len(files) < 2:
        raise ConfigError(f"selection.domain: {folder} holds {len(files)} images, expected at least two")
    return files


def folder_sha256(folder: Path, files: list[Path]) -> str:
    """One hash of the contents of a folder's files, in their order; names and times do not count."""
    return hashlib.sha256("\n".join(content_hashes(files, folder)).encode()).hexdigest()


def _pictures(config: RunConfig) -> list[Path]:
    if config.selection.domain == "generator":
        return []
    found = sorted(file for file in Path(config.selection.domain).rglob("*") if file.suffix.lower() in ENDINGS)
    return list(islice((file for file in found if file.is_file()), config.selection.domain_samples))


def option_files(config: RunConfig) -> list[str]:
    """Files and folders that the method's own options name; not those whose hash is an option of its own (`given`)."""
    given = config.options.model_dump()
    return [] if "content" in given else [value for value in given.values() if isinstance(value, str) and value]


def _learnt_files(config: RunConfig) -> dict[str, tuple[str, str]]:
    """{key: (file, what it is)} of the networks learnt from the generator that the user named."""
    named = {
        "warp.descriptor_file": (config.warp.descriptor_file, "descriptor"),
        "selection.critic_file": (config.selection.critic_file, "critic"),
        "inversion.encoder_file": (config.inversion.encoder_file, "encoder"),
    }
    return {key: row for key, row in named.items() if row[0]}


def _mask(config: RunConfig) -> Path | None:
    name = dict(parse_degradation(config.inversion.degradation)).get("mask")
    return Path(name) if name else None
