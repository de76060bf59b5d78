"""`python -m flows.cli`: the `mgi` command for launchers that start modules, such as torchrun."""

from flows.cli import main

main()
