"""Training a generator from scratch on a folder of images; `mgi train generator` is its command."""

from mgi.training.config import TrainingConfig
from mgi.training.objectives import OBJECTIVES, Objective
from mgi.training.trainer import Losses, Trainer, TrainingError

__all__ = ["OBJECTIVES", "Losses", "Objective", "Trainer", "TrainingConfig", "TrainingError"]
