"""A look at a pickle's opcodes before it is read, for anything that would crash the reader.

Python's reader makes room for as many memory slots as the highest number that a pickle names, it hashes nested tuples
by recursion, which ends the process if they are nested too deep, and it reads a line however long it is: the tail of a
file of 20 GiB may be one. None of that can be caught, so it is counted first.
"""

from __future__ import annotations

import pickletools
from typing import IO

from mgi.generators.pickled.refused import Refused

MAX_TUPLES = 50_000
"""Tuples in one pickle: a snapshot of StyleGAN2 at 1024 x 1024 has 2,600. Hashing survives twice as many."""

MAX_LINE = 2**28
"""Bytes of one line. Protocol 0 writes a layer's numbers as a line, in up to four characters a byte: 40 MB."""

MAX_PIECE = 2**30
"""Bytes of one string: the largest layer of any published generator has less than a tenth of that."""

_TUPLES = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"})
_SLOTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


def inspect(file: IO[bytes]) -> None:
    """Read to the pickle's end, which is where `file` stands then.

    Raises:
        Refused: its memory numbers are far too high, it nests too deep, or a piece of it is far too long.
        ValueError: it is damaged.
    """
    tuples = 0
    for count, (opcode, argument, _) in enumerate(pickletools.genops(_Bounded(file))):  # type: ignore[arg-type]
        tuples += opcode.name in _TUPLES
        if tuples > MAX_TUPLES:
            raise Refused(f"holds more than {MAX_TUPLES} tuples, more than any network")
        if opcode.name == "FRAME" and isinstance(argument, int) and argument > MAX_PIECE:
            raise Refused(f"holds a piece of {argument} bytes, more than any network")
        if opcode.name in _SLOTS and isinstance(argument, int) and argument > count:
            raise Refused(f"asks for {argument} places of memory after {count} steps")


class _Bounded:
    """A file that never gives more at once than a network needs."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.tell = file, file.tell

    def read(self, count: int) -> bytes:
        if count > MAX_PIECE:
            raise Refused(f"holds a piece of {count} bytes, more than any network")
        return self._file.read(count)

    def readline(self) -> bytes:
        line = self._file.readline(MAX_LINE)
        if len(line) == MAX_LINE:
            raise Refused(f"holds a line of more than {MAX_LINE} bytes, more than any network")
        return line
