"""What a Prefect server sees of a flow: its form, name, tasks, progress, artifacts, and the state it ends in."""
