"""Host keys that are known: ``known_hosts`` files as sshd(8) describes them, hashed names and patterns too."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Literal, Self

Marker = Literal["", "@revoked", "@cert-authority"]

_PORT = 22
_HASHED = "|1|"


def fingerprint(blob: bytes) -> str:
    """Of a key, as ``ssh-keygen -l`` shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def called(address: str, port: int) -> str:
    """How ``known_hosts`` calls a host: ``HOST``, or ``[HOST]:PORT`` where the port is not that of SSH."""
    return address.lower() if port == _PORT else f"[{address.lower()}]:{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A line: a key of the hosts that fit ``names``. ``place`` is ``FILE:LINE``; ``blob`` the key as it is sent."""

    place: str
    marker: Marker
    names: str
    kind: str
    blob: bytes

    @property
    def shown(self) -> str:
        """Kind and fingerprint."""
        return f"{self.kind} {fingerprint(self.blob)}"

    def fits(self, name: str) -> bool:
        """Whether its patterns name the host that is called so (``called``)."""
        found = False
        for pattern in self.names.lower().split(","):
            if _fits(pattern.removeprefix("!"), name):
                if pattern.startswith("!"):
                    return False
                found = True
        return found


def _fits(pattern: str, name: str) -> bool:
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    # Brackets stand for themselves here, around an address before its port.
    return re.fullmatch(translate(pattern.replace("[", "[[]")), name) is not None


class KnownHosts:
    """All lines of some files."""

    def __init__(self, lines: Iterable[Known]) -> None:
        """``lines``: of one file after the other."""
        # Fleets have thousands of lines: those that name their hosts in full are found without a look at each.
        self._named: dict[str, list[Known]] = {}
        self._hashed: list[tuple[bytes, bytes, Known]] = []
        self._patterns: list[Known] = []
        for one in lines:
            names = one.names.lower().split(",")
            if one.names.startswith(_HASHED):
                salt, digest = one.names.removeprefix(_HASHED).split("|", 1)
                self._hashed.append((base64.b64decode(salt), base64.b64decode(digest), one))
            elif any(set(name) & set("*?!") for name in names):
                self._patterns.append(one)
            else:
                for name in dict.fromkeys(names):
                    self._named.setdefault(name, []).append(one)

    @classmethod
    def read(cls, paths: Sequence[Path]) -> Self:
        """Files that are missing have no lines; a line that cannot be read is passed over, as ssh does.

        ``OSError`` where a file is there and cannot be read.
        """
        return cls(one for path in paths if path.exists() for one in _lines(path))

    def of(self, name: str) -> Sequence[Known]:
        """The lines of a host, those first that name it in full."""
        data = name.encode()
        hashed = (one for salt, digest, one in self._hashed if hmac.digest(salt, data, "sha1") == digest)
        patterns = (one for one in self._patterns if one.fits(name))
        return [*self._named.get(name, ()), *hashed, *patterns]


def _lines(path: Path) -> Iterator[Known]:
    for number, text in enumerate(path.read_text(errors="replace").splitlines(), 1):
        words = text.split()
        marker: Marker = ""
        if words and words[0] in {"@revoked", "@cert-authority"}:
            marker = "@revoked" if words[0] == "@revoked" else "@cert-authority"
            words = words[1:]
        if len(words) < 3 or words[0].startswith("#"):  # noqa: PLR2004 - names, kind, key
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
            known = Known(place=f"{path}:{number}", marker=marker, names=words[0], kind=words[1], blob=blob)
            if known.names.startswith(_HASHED):
                salt, digest = known.names.removeprefix(_HASHED).split("|", 1)
                base64.b64decode(salt, validate=True)
                base64.b64decode(digest, validate=True)
        except (binascii.Error, ValueError):
            continue
        yield known
