"""Translation by GAN inversion: MGI and the published methods that it is compared with."""
