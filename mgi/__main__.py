"""`python -m mgi`: the `mgi` command, for launchers that start modules, such as torchrun.

The command is in packages above this one, which are never imported here by name: what is installed says where it is.
"""

import sys
from importlib.metadata import entry_points

if __name__ == "__main__":
    found = list(entry_points(group="console_scripts", name="mgi"))
    if not found:
        sys.exit("mgi: expected mgi to be installed, found only its folder; install it with `pip install -e .`")
    found[0].load()()
