"""What a person or a schedule starts: flows and the `mgi` command."""
