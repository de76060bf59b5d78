"""The report of a run: page, pictures, charts, contact sheet and tables."""
