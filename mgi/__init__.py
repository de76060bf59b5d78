"""The science: exemplar-based image translation by GAN inversion, in PyTorch alone.

Nothing is imported here, so that `import mgi` costs nothing. In a notebook, begin with `mgi.profiles.load_config`,
`mgi.translators.load_translator`, `mgi.alignment.Aligner` and `mgi.metrics.base.Views`; `mgi.catalogue` lists all
methods and metrics. README.md has the lines from two files to a result and its metrics.
"""
