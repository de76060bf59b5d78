"""What runs where: the stages of a run, its workers, its report, and when each unit is done."""
