"""Worker processes: the Dask cluster, its plugins, and how running units report their progress."""
