"""Stored objects: whether they are what is said of them, and putting the right ones in their places again."""

import hashlib
from collections.abc import Callable
from contextlib import suppress

from repod.doors import Store
from repod.errors import Conflict, NotFound
from repod.package import Sha256, StorePath, sha256

ASIDE = ".repod/aside/"
"""Where altered objects go when the right ones take their places, so that nothing is lost."""

SPARE = ".repod/spare/"
"""Where right ones wait until then; only a repair that was stopped leaves any."""

Put = Callable[[StorePath], None]
"""Adds the right bytes under a path, proven."""


def digest_of(store: Store, path: StorePath) -> tuple[Sha256, int]:
    """SHA-256 and length of what is stored; ``NotFound`` where nothing is."""
    digest, length = hashlib.sha256(), 0
    for piece in store.stream(path):
        digest.update(piece)
        length += len(piece)
    return sha256(digest.hexdigest()), length


def differs(store: Store, path: StorePath, checksum: Sha256, size: int) -> str:
    """Why a stored object is not what is said of it; empty where it is."""
    try:
        found, length = digest_of(store, path)
    except NotFound:
        return "named but missing"
    if (found, length) == (checksum, size):
        return ""
    return f"altered: expected {size} bytes, sha256 {checksum}; found {length}, {found}"


def put_back(store: Store, path: StorePath, checksum: Sha256, put: Put) -> str:
    """Make the immutable object at ``path`` the one with ``checksum``; what was done, empty where nothing was.

    The right bytes are in the store before the wrong ones are touched, and the wrong ones are kept
    aside. In between nothing is there: no reader could use what was.
    """
    try:
        found, _ = digest_of(store, path)
    except NotFound:
        put(path)
        return "it was missing, and is stored again"
    if found == checksum:
        return ""
    spare = StorePath(f"{SPARE}{checksum}")
    try:
        put(spare)
    except Conflict:  # one that was left is altered too
        store.remove(spare)
        put(spare)
    aside = StorePath(f"{ASIDE}{found}-{path.rpartition('/')[2]}")
    with suppress(NotFound):
        store.copy(path, aside, found)
    store.remove(path)
    store.copy(spare, path, checksum)
    store.remove(spare)
    return f"it was altered (now {aside}), and is stored again"
