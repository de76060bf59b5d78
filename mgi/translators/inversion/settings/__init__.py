"""The settings of each method of the inversion family: one file each, which `--method` lays over a profile."""
