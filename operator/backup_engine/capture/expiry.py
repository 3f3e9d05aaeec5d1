"""Goes on with a list whose continue token expired, where the server gives no other. Pure.

An API server lists in the order of its keys, ``<namespace>/<name>``, and a token is a place in that
order. So a list may begin anew and leave out what is not behind the last object seen: no object is
doubled, none is lost that was there all the time. It is what the server's own token for an
inconsistent list (in the Status of a 410) does. Pages that are out of order forbid it.
"""

import msgspec

from backup_engine.capture.split import read_key


class Progress:
    """How far one list has come, and whether its order can be relied on."""

    def __init__(self) -> None:
        self._last: bytes = b""
        self._skips_to: bytes = b""
        self._is_ordered = True
        self._has_moved = True

    def sift(self, items: list[msgspec.Raw]) -> list[msgspec.Raw]:
        """Return the items not seen before, and remember the last one."""
        if self._skips_to:
            items = [item for item in items if read_key(item) > self._skips_to]
        if items:
            first, last = read_key(items[0]), read_key(items[-1])
            self._is_ordered &= self._last < first <= last
            self._last = last
            self._has_moved = True
        return items

    def begin_anew(self) -> bool:
        """Leave out from now on what was seen; False if that is impossible, or was no use."""
        if not (self._is_ordered and self._has_moved):
            return False
        self._has_moved = False
        self._skips_to = self._last
        return True
