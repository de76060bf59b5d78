"""The step that a Prefect worker takes before a flow run: go to the folder where relative paths of parameters begin."""

from __future__ import annotations

import os
from pathlib import Path

from mgi.config import ConfigError

HOME = "MGI_HOME"


def working_folder() -> dict[str, str]:
    """Change to the folder that `MGI_HOME` names on the worker's machine, or else to where the worker was started.

    A process worker runs flows in an empty folder that is removed afterwards; what a relative `out` named would be
    lost. The variable PWD still says where the worker's shell was.

    Raises:
        ConfigError: neither names a folder.
    """
    folder = os.environ.get(HOME) or os.environ.get("PWD") or ""
    if not Path(folder).is_dir() or not folder:
        raise ConfigError(f"expected a folder in {HOME}, found {folder!r}; set it where the worker is started")
    os.chdir(folder)
    return {"directory": folder}
