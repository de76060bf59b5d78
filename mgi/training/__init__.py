"""Training a generator on a folder of images, from scratch or from a pretrained one: `mgi train generator`."""

from mgi.training.config import TrainingConfig
from mgi.training.errors import TrainingError
from mgi.training.objectives import OBJECTIVES, Objective
from mgi.training.trainer import Losses, Trainer

__all__ = ["OBJECTIVES", "Losses", "Objective", "Trainer", "TrainingConfig", "TrainingError"]
