"""The keys by which a mirror is proven: of a file, by fingerprint, or those that it showed at the first look."""

import re
from collections.abc import Sequence
from pathlib import Path

from repod.client.fetching import Fetcher, joined, read
from repod.client.pinned import pinned
from repod.errors import Misconfigured, NotFound, Refused
from repod.signing.openpgp import armor_certificate, certificates
from repod.signing.published import judge, split_keys
from repod.signing.verify import signature_issuers, verify_detached
from repod.times import stamp

KEYS = "repodata/repomd.xml.key"
_LARGEST = 1 << 20
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")


class Trust:
    """``Pins`` of armored certificates."""

    def __init__(self, armored: bytes, now: float) -> None:
        """``now`` tells which of them have ended; seconds since 1970."""
        self.armored = armored
        self._members: dict[str, str] = {}
        self._ends: dict[str, float] = {}
        for certificate in split_keys("the pinned key file", armored):
            (components,) = certificates(certificate)
            own = components[0].fingerprint
            self._members |= {one.fingerprint: own for one in components if one.fingerprint}
            expires = judge(certificate, now).expires
            if expires is not None and expires <= now:
                self._ends[own] = expires

    @property
    def fingerprints(self) -> Sequence[str]:
        """Of the primary keys."""
        return sorted(set(self._members.values()))

    def prove(self, data: bytes, signature: bytes) -> bool:
        """See ``Pins.prove``."""
        return verify_detached(self.armored, data, signature)

    def doubt(self, signature: bytes) -> str:
        """See ``Pins.doubt``."""
        issuers = signature_issuers(signature)
        own = {pin for one in issuers for member, pin in self._members.items() if member.endswith(one)}
        if not own:
            found = ", ".join(issuers) or "nobody"
            text = f"signed by {found}, and pinned is {', '.join(self.fingerprints)}; where keys were changed, pin the"
            return f"{text} new one once it was announced"
        ended = [f"{pin} at {stamp(self._ends[pin])}" for pin in sorted(own & self._ends.keys())]
        return f"the pinned key ended: {', '.join(ended)}; get it anew, with its new end" if ended else ""


def from_file(path: Path, now: float) -> Trust:
    """The keys in a file. ``Misconfigured`` where it holds none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"--key {path} cannot be read ({error.strerror}): expected a file with public keys, or a fingerprint"
        raise Misconfigured(msg) from error
    return Trust(_armored(f"--key {path}", data), now)


def of_mirror(fetcher: Fetcher, base: str, now: float, fingerprints: Sequence[str] = ()) -> Trust:
    """The keys that lie beside the index; of them those with these fingerprints, where any are given.

    ``Refused`` where the mirror has others, ``NotFound`` where it has none.
    """
    place = joined(base, KEYS)
    try:
        data = read(fetcher, place, limit=_LARGEST, current=True)
        chosen = pinned(data, tuple(fingerprints)) if fingerprints else _armored(place, data)
    except NotFound as error:
        raise NotFound(f"{error}; if there is a repository, give the key as a file: --key FILE") from error
    except Misconfigured as error:
        raise Refused(*error.args) from error
    return Trust(chosen, now)


def fingerprint_of(text: str) -> str:
    """``text`` as a full fingerprint; empty where it is none, and so the name of a file."""
    bare = text.replace(" ", "").upper()
    return bare if _FINGERPRINT.fullmatch(bare) else ""


def _armored(what: str, data: bytes) -> bytes:
    return b"".join(map(armor_certificate, split_keys(what, data)))
