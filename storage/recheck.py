"""After the machine stopped: what was written before that is checked once; nothing else makes it trusted again."""

from __future__ import annotations

from storage.atomic import write_bytes
from storage.boot import boot_id
from storage.run_store import RunStore


def recheck(store: RunStore) -> int:
    """Check the hashes of everything that was written before the machine's last start and not waited for.

    For the process that holds the run's lock, before it decides what is left to do. What is packed was waited for.

    Returns:
        How many units turned out to be damaged; they do not count as done any more.
    """
    stamp, now = store.path / ".boot", boot_id()
    if now is None or (stamp.exists() and stamp.read_text(encoding="ascii") == now):
        return 0
    lost = 0
    for stage in store.markers.stages():
        for key in sorted(store.markers.loose_keys(stage)):
            marker = store.markers.read(stage, key)
            if marker is None or not (store.markers.trusted(marker) or store.verify(stage, key)):
                store.forget(stage, key)
                lost += 1
    write_bytes(stamp, now.encode("ascii"))
    return lost
