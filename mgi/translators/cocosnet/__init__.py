"""CoCosNet (Zhang et al., CVPR 2020): correspondence across domains, and a generator steered by the warp."""
