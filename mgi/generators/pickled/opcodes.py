"""A look at a pickle's opcodes before it is read, for anything that would crash the reader.

Python's reader makes room for as many memory slots as the highest number that a pickle names, and it hashes nested
tuples by recursion, which ends the process if they are nested too deep. Neither can be caught, so both are counted
first.
"""

from __future__ import annotations

import pickletools
from typing import IO

from mgi.generators.pickled.containers import Refused

MAX_TUPLES = 50_000
"""Tuples in one pickle: a snapshot of StyleGAN2 at 1024 x 1024 has 2,600. Hashing survives twice as many."""

_TUPLES = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"})
_SLOTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


def inspect(file: IO[bytes]) -> None:
    """Read to the pickle's end.

    Raises:
        Refused: its memory numbers are far too high, or it nests too deep.
        ValueError: it is damaged.
    """
    tuples = 0
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        tuples += opcode.name in _TUPLES
        if tuples > MAX_TUPLES:
            raise Refused(f"holds more than {MAX_TUPLES} tuples, more than any network")
        if opcode.name in _SLOTS and isinstance(argument, int) and argument > count:
            raise Refused(f"asks for {argument} places of memory after {count} steps")
