"""Where to compute, unless somebody says otherwise."""


def best_device() -> str:
    """`cuda` if there is a GPU, else `cpu`; imports PyTorch."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
