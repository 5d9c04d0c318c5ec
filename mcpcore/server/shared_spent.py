"""Which single-use states are spent, for processes that were forked after it was made. Within one process: ``Spent``.

A table in shared memory, by open addressing. A lock of the file system guards it: the kernel takes it back from a
process that was killed.
"""

from __future__ import annotations

import fcntl
import mmap
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

from mcpcore.server.sealing import Spent, SpentFull

__all__ = ["SharedSpent"]

_SLOT = struct.Struct("<16sd")
"""A digest of the tag, and when it expires; 0.0 where nothing was ever put."""
_HEAD = struct.Struct("<Qd")
"""Slots that were ever used, and until when the table is known to be full."""


class SharedSpent(Spent):
    """At most ``limit`` states until they expire, and half as many more before anybody counts.

    It belongs to the thread of the event loop: the lock is between processes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._slots = max(2, 2 * limit)
        self._memory = mmap.mmap(-1, _HEAD.size + self._slots * _SLOT.size)
        self._file = tempfile.TemporaryFile(prefix="mcpcore-")  # noqa: SIM115 - open for as long as this is used

    def __len__(self) -> int:
        """Slots that were ever used."""
        with self._locked():
            return self._head()[0]

    def close(self) -> None:
        self._memory.close()
        self._file.close()

    def spend(self, tag: str, expires: float, now: float) -> bool:
        """True once for each tag, in whichever process; otherwise as ``Spent.spend``."""
        if expires <= now:
            return False
        key = blake2b(tag.encode(), digest_size=16).digest()
        with self._locked():
            slot, is_new = self._find(key, now)
            if slot is None:
                return False
            if is_new and 2 * (self._head()[0] + 1) > 3 * self._limit:  # so that an empty slot ends every search
                self._make_room(now)
                slot, is_new = self._find(key, now)
            assert slot is not None
            self._write(slot, key, expires)
            if is_new:
                used, full_until = self._head()
                _HEAD.pack_into(self._memory, 0, used + 1, full_until)
        return True

    def _find(self, key: bytes, now: float) -> tuple[int | None, bool]:
        """Where this key is to be put, and whether nothing was ever there; ``None`` where it is spent."""
        slot = int.from_bytes(key[:8], "little") % self._slots
        expired: int | None = None
        while True:
            known, expires = self._read(slot)
            if expires == 0.0:
                return (slot, True) if expired is None else (expired, False)
            if expires <= now:
                expired = slot if expired is None else expired
            elif known == key:
                return None, False
            slot = (slot + 1) % self._slots

    def _make_room(self, now: float) -> None:
        """Put what has not expired into an empty table. Raises ``SpentFull`` where that leaves no room."""
        used, full_until = self._head()
        full = now < full_until  # or every request would count them all
        live = [] if full else [entry for entry in map(self._read, range(self._slots)) if entry[1] > now]
        if full or len(live) >= self._limit:
            if live:
                _HEAD.pack_into(self._memory, 0, used, min(expires for _, expires in live))
            raise SpentFull(
                f"{self._limit} single-use states are waiting for their expiry: try again later, or raise "
                "Limits.spent_states"
            )
        self._memory[:] = bytes(len(self._memory))
        _HEAD.pack_into(self._memory, 0, len(live), 0.0)
        for key, expires in live:
            slot, _ = self._find(key, 0.0)
            assert slot is not None
            self._write(slot, key, expires)

    def _head(self) -> tuple[int, float]:
        used, full_until = _HEAD.unpack_from(self._memory)
        return used, full_until

    def _read(self, slot: int) -> tuple[bytes, float]:
        key, expires = _SLOT.unpack_from(self._memory, _HEAD.size + slot * _SLOT.size)
        return key, expires

    def _write(self, slot: int, key: bytes, expires: float) -> None:
        _SLOT.pack_into(self._memory, _HEAD.size + slot * _SLOT.size, key, expires)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
