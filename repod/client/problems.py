"""What the daemon answers when it does not do what was asked: from problem documents (RFC 9457) to ``repod.errors``."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from repod import jsontext
from repod.access import VERBS
from repod.errors import Conflict, Corrupt, Misconfigured, NoRoom, NotFound, Refused, RepodError, Unavailable, Unfit

MEDIA_TYPE = "application/problem+json"
_SHOWN = 200  # characters of what was found

_BY_KIND: Mapping[str, type[RepodError]] = {
    "not-found": NotFound,
    "forbidden": Refused,
    "refused": Refused,
    "rejected": Refused,
    "too-large": Refused,
    "no-arrival": Refused,
    "unfit": Unfit,
    "mismatch": Corrupt,
    "conflict": Conflict,
    "throttled": Unavailable,
    "unavailable": Unavailable,
    "no-room": NoRoom,
    "failed": RepodError,
}
"""By the last part of a problem's ``type``; any other says that the request was wrong."""

_BY_STATUS: Mapping[int, type[RepodError]] = {
    403: Refused,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    413: Refused,
    425: Unavailable,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: NoRoom,
}
"""Where a proxy answers, and not the daemon."""

_FORM: Mapping[str, Callable[[Any], bool]] = {
    "detail": lambda value: isinstance(value, str),
    "type": lambda value: value is None or isinstance(value, str),
    "status": lambda value: value is None or type(value) is int,
    "faults": lambda value: value is None or isinstance(value, list),
}
"""What each field of a problem document is, if it is one of repod's."""

_DENIED = re.compile(r" may not (?P<verb>[a-z]+) (?P<repository>[A-Za-z0-9][\w.+-]*)")
_SERVER_FAILED = 500
_UNKNOWN = 401
_REDIRECTS = range(300, 400)


def document(status: int, media: str, body: bytes) -> Mapping[str, Any] | None:
    """The problem document that an answer holds; None where it holds none."""
    if status < min(_BY_STATUS) - 3 or media != MEDIA_TYPE:
        return None
    try:
        found = jsontext.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) and all(kind(found.get(key)) for key, kind in _FORM.items()) else None


def error_of(problem: Mapping[str, Any], source: str = "") -> RepodError:
    """The error that a problem document tells of, with its lines. ``source``: where the token came from."""
    kind = str(problem.get("type", "")).rpartition("/")[2]
    faults = problem.get("faults") or ()
    lines = [str(line) for line in faults if isinstance(line, str)] or [str(problem["detail"])]
    if kind == "credentials" or problem.get("status") == _UNKNOWN:
        return Misconfigured(*(f"{line}; {_token_advice(source, line)}" for line in lines))
    lines = [f"{line}{_remedy(kind, line)}" for line in lines]
    known = _BY_KIND.get(kind) or _BY_STATUS.get(problem.get("status") or 0, Misconfigured)
    return known(*lines) if known is Misconfigured else known("\n".join(lines))


def _remedy(kind: str, line: str) -> str:
    """What to do about what the daemon says without knowing who reads it."""
    if kind == "forbidden" and " may not " in line:
        return f"; have a token made that may, where repod runs: repod token add{_scope(line)}"
    if kind == "not-found" and line.startswith("there is no repository"):
        return "; repoctl status lists those that this token may read"
    return ""


def _scope(line: str) -> str:
    """The arguments of a token that may do what was denied; empty where the line does not end by saying what."""
    denied = _DENIED.search(line)
    if not denied or denied.end() != len(line) or denied["verb"] not in VERBS:
        return ""
    where = "" if denied["repository"] == "this" else f" --repository {denied['repository']}"
    return f" NAME --may {denied['verb']}{where}"


def stranger(status: int, media: str, body: bytes, url: str) -> RepodError:
    """The error where an answer is none of repod's: a proxy's, or that of quite another server."""
    known = _BY_STATUS.get(status)
    what = media or "no type"
    if status in _REDIRECTS:
        msg = f"{url} answers {status}, a redirect; set [server] url or REPOCTL_URL to where the daemon is"
        return Misconfigured(msg)
    if known is not None and known is not NotFound and known is not Refused:
        return known(f"{url} answers {status} ({what}): {_beginning(body)}; is the daemon behind it running?")
    if status >= _SERVER_FAILED:
        return RepodError(f"{url} answers {status} ({what}): {_beginning(body)}")
    msg = f"{url} answers {status} with {what}, not as repod does; is [server] url (REPOCTL_URL) the daemon's?"
    return Misconfigured(msg)


def _token_advice(source: str, line: str) -> str:
    if source:
        new = "" if "repod token add" in line else "; have a new one made where repod runs: repod token add"
        return f"the token is that of {source}{new}"
    return "no token was sent: set REPOCTL_TOKEN, or [server] token_file or keyring and run repoctl login"


def _beginning(body: bytes) -> str:
    """The first words of an answer; never what steers a terminal."""
    text = " ".join(body[:_SHOWN].decode(errors="replace").split())
    return "".join(c if c.isprintable() else "\ufffd" for c in text) or "nothing"
