"""Training of encoders: on a generator's samples, on real pictures, and across two domains."""

from mgi.training.encoders.config import EncoderConfig
from mgi.training.encoders.trainer import Batch, EncoderLosses, EncoderTrainer

__all__ = ["Batch", "EncoderConfig", "EncoderLosses", "EncoderTrainer"]
