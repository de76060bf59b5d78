"""What is read and kept: image folders, manifests, the run store, done markers and tables."""
