"""The file of tokens: names, what each may do, and the hash of each, never a token itself.

A token is 256 random bits, so its plain SHA-256 cannot be turned back by trying, and looking it up costs nothing.
The file is replaced whole under a lock on its folder, mode 0600, and is its folder's owner's, so that a
command run by root leaves it readable to the daemon.
"""

import base64
import fcntl
import hashlib
import hmac
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from repod import jsontext
from repod.access import ANY, Caller, Reason, Stranger, Verb
from repod.callers.watched import Watched
from repod.errors import Conflict, Misconfigured, NotFound, Unavailable

PREFIX = "repod_"
_BYTES = 32
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token as the file has it. Times are seconds since 1970; ``expires`` None: never.

    ``hosts``: shell patterns of the hosts that it may report of; none: of any.
    """

    name: str
    sha256: str
    verbs: Sequence[str]
    repositories: Sequence[str]
    created: float
    expires: float | None
    hosts: Sequence[str] = ()

    def has_expired(self, now: float) -> bool:
        """Whether it is good no more."""
        return self.expires is not None and now >= self.expires


class TokenFile:
    """The tokens in a file; there need not be one yet."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """``clock``: seconds since 1970."""
        self.path = path
        self._clock = clock
        self._by_hash = Watched(path, lambda data: {token.sha256: token for token in _parse(data)}, optional=True)

    def recognize(self, secret: str) -> Caller:
        """Whose token it is; ``Stranger``, or ``Unavailable`` where the file cannot be read."""
        digest = _digest(secret)
        token = self._by_hash.value().get(digest)
        if token is None or not hmac.compare_digest(token.sha256, digest):
            raise Stranger(Reason.UNKNOWN)
        if token.has_expired(self._clock()):
            raise Stranger(Reason.EXPIRED, f"token {token.name}")
        return Caller(
            names=(token.name,),
            how="token",
            verbs=frozenset(map(Verb, token.verbs)),
            repositories=frozenset(token.repositories),
            hosts=tuple(token.hosts) or None,
        )

    def list(self) -> Sequence[Token]:
        """All tokens, in the order in which they were made; ``Unavailable`` where the file cannot be read."""
        return tuple(self._by_hash.value().values())

    def add(
        self,
        name: str,
        random: Callable[[int], bytes],
        *,
        verbs: Sequence[str],
        repositories: Sequence[str],
        seconds: float | None,
        hosts: Sequence[str] = (),
    ) -> str:
        """A new token, told this once; ``Conflict`` where one of that name is there and has not expired.

        ``seconds``: how long it is good; None: for ever. ``repositories`` may hold ``ANY``; ``hosts`` as in ``Token``.
        """
        now = self._clock()
        secret = PREFIX + base64.urlsafe_b64encode(random(_BYTES)).rstrip(b"=").decode()
        with self._alone():
            before = self.list()
            if any(token.name == name and not token.has_expired(now) for token in before):
                msg = f"token {name!r} is there already; take another name, or first: repod token revoke {name}"
                raise Conflict(msg)
            token = Token(
                name=name,
                sha256=_digest(secret),
                verbs=tuple(sorted(set(verbs))),
                repositories=(ANY,) if ANY in repositories else tuple(sorted(set(repositories))),
                created=now,
                expires=None if seconds is None else now + seconds,
                hosts=tuple(sorted(set(hosts))),
            )
            self._write([*(token for token in before if token.name != name), token])
        return secret

    def revoke(self, name: str) -> None:
        """Take a token out; ``NotFound`` where there is none of that name."""
        with self._alone():
            before = self.list()
            if all(token.name != name for token in before):
                names = ", ".join(token.name for token in before) or "none"
                msg = f"there is no token {name!r}; there are: {names}"
                raise NotFound(msg)
            self._write([token for token in before if token.name != name])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other commands out: two at once would lose one's change."""
        try:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            place = f"{self.path.parent} cannot be used ({error.strerror})"
            msg = f"[http] tokens: {place}; create it for the user repod runs as"
            raise Misconfigured(msg) from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _write(self, tokens: Sequence[Token]) -> None:
        tree = {"version": _VERSION, "tokens": [_fields(token) for token in tokens]}
        try:
            stage, name = tempfile.mkstemp(dir=self.path.parent, prefix=".tokens-")
            try:
                with os.fdopen(stage, "wb") as file:
                    file.write(json.dumps(tree, indent=1).encode() + b"\n")
                    file.flush()
                    owner = self.path.parent.stat()
                    if os.geteuid() == 0:
                        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                    os.fsync(file.fileno())
                Path(name).replace(self.path)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            msg = f"{self.path} cannot be written ({error.strerror}); nothing has changed"
            raise Unavailable(msg) from error


def _fields(token: Token) -> dict[str, Any]:
    fields = asdict(token)
    if not token.hosts:
        del fields["hosts"]  # versions of repod that know no such bound read the others
    return fields


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _parse(data: bytes) -> Iterator[Token]:
    if not data:
        return
    try:
        tree: Any = jsontext.loads(data)
        version = tree["version"]
        if version == _VERSION:
            yield from (Token(**token) for token in tree["tokens"])
    except (ValueError, TypeError, KeyError) as error:
        msg = f"not a file of tokens as repod token writes it ({error!r}); make the tokens anew in another file"
        raise ValueError(msg) from error
    if version != _VERSION:
        msg = f"expected version {_VERSION} of the form, found {version!r}: made by another version of repod"
        raise ValueError(msg)
