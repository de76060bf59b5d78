"""What can be said of a run before it starts: what is missing, what clashes, how long it takes."""
