"""Training of encoders: on a generator's samples, on real pictures, and across two domains."""

from mgi.training.encoders.config import EncoderConfig
from mgi.training.encoders.fusion import FusionTrainer
from mgi.training.encoders.steps import Batch, EncoderLosses
from mgi.training.encoders.trainer import EncoderTrainer

__all__ = ["Batch", "EncoderConfig", "EncoderLosses", "EncoderTrainer", "FusionTrainer"]
