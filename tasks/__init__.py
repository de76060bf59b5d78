"""What runs where: the stages of a run, its workers, its report, and when each unit is done."""

import mgi  # noqa: F401 -- before PyTorch: it says how PyTorch's threads wait
