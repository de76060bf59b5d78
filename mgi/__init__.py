"""The science: exemplar-based image translation by GAN inversion, in PyTorch alone."""
