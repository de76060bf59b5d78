"""Public checkpoint layouts: each module tells its layout from its tensors' names, and reads a generator from them."""
