"""Since when the hosts of a repository can learn each key: kept beside the files that they get.

``.repod/keys.json`` also keeps the keys that are given to hosts no more, and which keys signed: so it
can be told later that a package needs one that was taken away too early.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from repod import jsontext
from repod.doors import Expect, Store, Version
from repod.errors import Conflict, Corrupt, NotFound
from repod.hostkeys import SIGNS, Announced, HostKey
from repod.package import StorePath

ANNOUNCED = StorePath(".repod/keys.json")
FORMAT = 1
_ATTEMPTS = 10


def read_announced(store: Store) -> Mapping[str, Announced]:
    """What is known, by fingerprint; ``Corrupt`` where it is unreadable."""
    return _read(store)[0]


def announce(store: Store, keys: Sequence[HostKey], now: float) -> None:
    """Note that hosts get ``keys`` since ``now``, where they did not get them before, and no others any more."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(Conflict):
            before, version = _read_or_nothing(store)
            after = _after(before, keys, now)
            if after != before:
                store.write(ANNOUNCED, _to_json(after), version)
            return


def _after(before: Mapping[str, Announced], keys: Sequence[HostKey], now: float) -> Mapping[str, Announced]:
    given = {key.fingerprint: key for key in keys}
    gone = {f: replace(one, until=now if one.until is None else one.until) for f, one in before.items()}
    after = {f: one for f, one in gone.items() if f not in given}
    for fingerprint, key in given.items():
        one = before.get(fingerprint)
        if one is None or one.until is not None:
            signed = one.signed if one else None
            one = Announced(fingerprint=fingerprint, since=now, members=sorted(key.members), signed=signed)
        if key.role == SIGNS and one.signed is None:
            one = replace(one, signed=now)
        after[fingerprint] = one
    return after


def _read(store: Store) -> tuple[Mapping[str, Announced], Version | Expect]:
    try:
        blob = store.read(ANNOUNCED)
    except NotFound:
        return {}, Expect.ABSENT
    try:
        return _from_json(blob.data), blob.version
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{ANNOUNCED} is unreadable ({error}); restore it from a copy, or restart repod to begin it anew"
        raise Corrupt(msg) from error


def _read_or_nothing(store: Store) -> tuple[Mapping[str, Announced], Version | Expect]:
    """One that is unreadable begins anew: then hosts get too much time, never too little."""
    try:
        return _read(store)
    except Corrupt:
        return {}, store.read(ANNOUNCED).version


def _to_json(known: Mapping[str, Announced]) -> bytes:
    return json.dumps({"format": FORMAT, "keys": [asdict(known[f]) for f in sorted(known)]}, indent=1).encode()


def _from_json(data: bytes) -> Mapping[str, Announced]:
    tree = jsontext.loads(data)
    if tree["format"] != FORMAT:
        msg = f"expected format {FORMAT}, found {tree['format']!r}"
        raise ValueError(msg)
    return {one.fingerprint: one for one in (Announced(**row) for row in tree["keys"])}
