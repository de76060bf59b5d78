"""The settings that make each method of the inversion family: one file each, laid over a profile by `--method`."""
