"""Blocks: 64 neighbouring pairs of a run, whose finished units are kept in few files instead of one file each.

A unit is published as files of its own (`storage.markers`, `storage.run_arrays`), so any number of workers write at the
same time and a killed one leaves nothing half. Once a block has nothing more to do for now, the process that holds the
run's lock packs it: chunks into one shard per array, as zarr's sharding codec reads it, and markers into one record.
"""
