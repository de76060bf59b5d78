"""Builds mgi: setuptools, except that a wheel installs nothing beside `mgi` and `mgi_pipeline`.

In the repository `flows`, `tasks`, `storage` and `suites` lie at the top. Installed under those names they would
collide with other people's, so a wheel has them as `mgi_pipeline.flows` and so on (`build_backend.staging`). Editable
installs and source distributions keep the repository's layout. The functions here are those of PEP 517 and PEP 660.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from setuptools import build_meta

from build_backend.staging import staged

Settings = dict[str, Any] | None

build_sdist = build_meta.build_sdist
build_editable = build_meta.build_editable
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable
get_requires_for_build_editable = build_meta.get_requires_for_build_editable
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Nothing beyond `build-system.requires`."""
    return []


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings = None) -> str:
    """Write the `.dist-info` that the wheel will have; returns its name."""
    target = str(Path(metadata_directory).resolve())
    with staged(Path.cwd()):
        return str(build_meta.prepare_metadata_for_build_wheel(target, config_settings))


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """Build the wheel from a staged copy of the project; returns its file name."""
    target = str(Path(wheel_directory).resolve())
    metadata = str(Path(metadata_directory).resolve()) if metadata_directory else None
    with staged(Path.cwd()):
        return str(build_meta.build_wheel(target, config_settings, metadata))
