"""What a user or a schedule starts: flows and the `mgi` command."""
