"""Scores of what a network of the user's says about results: maps of labels, and boxes."""
