"""The gate of the listener: from a request to a caller who may do it, or to an answer that says what is missing."""

import base64
import binascii
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import HTTPException, Request

from repod.access import READ, REPORT, Caller, Callers, Offer, Reason, Rules, Stranger, Verb
from repod.errors import RepodError
from repod.office import By
from repod.web.desk import Desk

_UNAVAILABLE_SECONDS = 5
_NOT_LET_IN = {401, 403, 429}
_CHALLENGES = ('Basic realm="repod", charset="UTF-8"', 'Bearer realm="repod"')
_SAID = {
    Reason.NOTHING: "credentials are needed here: a token, or name and password",
    Reason.UNKNOWN: "these credentials are not known",
    Reason.EXPIRED: "this token has expired; have a new one made with: repod token add",
    Reason.THROTTLED: "too many failures from your address; try again later",
}
_TOKEN = "changes take a token, as Authorization: Bearer TOKEN"  # noqa: S105 - what is said, no token  # nosec B105
_QUIET = 60.0  # seconds in which the same refusal of the same address is told once
_REMEMBERED = 1024


Attempted = Callable[[By, str, str, str], object]
"""Hears who was not let make a change: who, which verb, in which repository, why not."""


class Told(Protocol):
    """What hears of refusals."""

    def warning(self, event: str, **fields: Any) -> object:
        """One line."""

    def error(self, event: str, **fields: Any) -> object:
        """One line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may do what, as the settings say it now."""

    rules: Rules
    callers: Callers


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who looks at pages, by the rules of that moment; ``caller`` is None for who shows nothing, or need not."""

    rules: Rules
    caller: Caller | None

    def sees(self, repository: str) -> bool:
        """Whether pages about a repository are for this visitor."""
        return self.rules.shows(self.caller, repository)

    def names_hosts(self, repository: str) -> bool:
        """Whether names of hosts are for this visitor."""
        return self.rules.names_hosts(self.caller, repository)

    def check(self, repository: str) -> None:
        """``HTTPException`` 401 or 403 where they are not."""
        if not self.sees(repository):
            if self.caller is None:
                raise Challenge(_SAID[Reason.NOTHING])
            raise HTTPException(403, f"{self.caller} may not read {repository}")


class Gate:
    """Lets requests through. Only the event loop of the listener uses it."""

    def __init__(
        self,
        access: Callable[[], Access],
        log: Told,
        attempted: Attempted = lambda *_: None,
        count: Callable[[str], object] = lambda _: None,
    ) -> None:
        """``access`` is asked for each request.

        ``attempted`` hears, once a minute, of who was not let change what; ``count`` is told why one was
        not let in: a reason, or forbidden.
        """
        self._access = access
        self._count = count
        self._log = log
        self._attempted = attempted
        self._heard = _Heard()
        self._desk = Desk(threads=4, waiting=64)

    async def admit(self, request: Request, verb: Verb, repository: str = "") -> Caller | None:
        """The caller, None where nobody is asked. ``HTTPException`` 401, 403, 429 or 503 else."""
        access = self._access()
        if access.rules.asks_nobody(verb, repository):
            return None
        return await self._let_in(access, offered(request), verb, repository)

    async def admit_change(
        self, request: Request, verb: Verb, repository: str = "", *, token: str = "", host: str = ""
    ) -> Caller:
        """Who makes a change: known by a token that was sent on purpose. ``HTTPException`` as ``admit``.

        What a browser sends by itself (a remembered password, a certificate) changes nothing, nor does what
        another site has it send. ``token``: where a form of a page has it. ``host``: of which a report is.
        """
        try:
            caller = await self._changing(request, verb, repository, token)
            if verb == REPORT and not caller.speaks_for(host):
                what = f"of {host}" if host else "rollouts"
                text = f"{caller} may report of {', '.join(caller.hosts or ())} only, not {what}"
                raise self._forbidden(caller, text, offered(request).address, repository)
        except HTTPException as error:
            self._attempt(error, offered(request).address, verb, repository)
            raise
        return caller

    async def _changing(self, request: Request, verb: Verb, repository: str, token: str) -> Caller:
        if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            raise HTTPException(403, "changes are not taken from pages of other sites")
        offer = offered(request)
        if token:
            offer = Offer(address=offer.address, token=token)
        elif offer.user or offer.password or (offer.names and not offer.token):
            raise HTTPException(403, f"{_TOKEN}; anything else only reads")
        elif not offer.token:
            raise Challenge(_TOKEN, _CHALLENGES[1:])
        return await self._let_in(self._access(), offer, verb, repository)

    async def visitor(self, request: Request) -> Visitor:
        """Who looks at pages. ``HTTPException`` as ``admit``, where credentials are shown that are not known."""
        access, offer = self._access(), offered(request)
        shown = bool(offer.token or offer.user or offer.password or offer.names)
        asked = access.rules.pages == "readers" or not access.rules.asks_nobody(READ, "")
        asked = (asked and access.rules.pages != "open") or not access.rules.host_names
        caller = await self._recognized(access, offer) if shown and asked else None
        return Visitor(rules=access.rules, caller=caller)

    async def _let_in(self, access: Access, offer: Offer, verb: Verb, repository: str) -> Caller:
        caller = await self._recognized(access, offer, repository)
        if not access.rules.allows(caller, verb, repository):
            text = f"{caller} may not {verb} {repository or 'this'}"
            raise self._forbidden(caller, text, offer.address, repository)
        return caller

    def _forbidden(self, caller: Caller, text: str, address: str, repository: str) -> "Forbidden":
        self._count("forbidden")
        self._tell(address, text, repository)
        return Forbidden(text, str(caller))

    async def _recognized(self, access: Access, offer: Offer, repository: str = "") -> Caller:
        try:
            return await self._desk.run(lambda: access.callers.recognize(offer))
        except Stranger as stranger:
            raise self._refused(stranger, offer, repository) from stranger
        except RepodError as error:
            if self._heard.is_new("", str(error)):
                self._log.error("callers cannot be told apart, so none is let in", problem=str(error))
            text = "who may read cannot be told now; see the log of repod"
            raise HTTPException(503, text, headers={"Retry-After": str(_UNAVAILABLE_SECONDS)}) from error

    async def known(self, request: Request) -> Caller | None:
        """Who calls, if that is known; who shows what is not is told of, and let on as a stranger."""
        access, offer = self._access(), offered(request)
        if not (offer.token or offer.password or offer.names):
            return None
        try:
            return await self._desk.run(lambda: access.callers.recognize(offer))
        except Stranger as stranger:
            if stranger.reason != Reason.NOTHING:
                self._tell(offer.address, _told(stranger), "")
            return None
        except RepodError:
            return None

    async def who(self, request: Request) -> Caller:
        """Who calls, also where nobody is asked. ``HTTPException`` 401, 429 or 503 where that is not known."""
        return await self._recognized(self._access(), offered(request))

    async def admit_names(self, request: Request, repository: str) -> None:
        """Return where the caller is told names of hosts; ``HTTPException`` as ``admit`` else."""
        access = self._access()
        if access.rules.names_hosts(None, repository):
            return
        caller = await self._recognized(access, offered(request), repository)
        if not access.rules.names_hosts(caller, repository):
            self._count("forbidden")
            text = f"{caller} may not read {repository}"
            raise Forbidden(text, str(caller))

    async def names_hosts(self, request: Request, repository: str) -> bool:
        """Whether the caller is told names of hosts; who shows what is not known is told of, as in ``known``."""
        access = self._access()
        if access.rules.names_hosts(None, repository):
            return True
        return access.rules.names_hosts(await self.known(request), repository)

    async def lets(self, request: Request, verb: Verb, repository: str = "") -> bool:
        """Whether the caller may do it; who shows what is not known is told of, as in ``known``."""
        access = self._access()
        if access.rules.asks_nobody(verb, repository):
            return True
        caller = await self.known(request)
        return caller is not None and access.rules.allows(caller, verb, repository)

    def _refused(self, stranger: Stranger, offer: Offer, repository: str) -> HTTPException:
        text = _SAID[stranger.reason]
        if stranger.reason != Reason.NOTHING:
            self._count(stranger.reason)
        if stranger.reason == Reason.THROTTLED:
            self._tell(offer.address, text, repository)
            return HTTPException(429, text, headers={"Retry-After": str(int(stranger.wait) + 1)})
        # Without any credentials: the first question of a client that waits to be asked for them.
        if stranger.reason != Reason.NOTHING:
            self._tell(offer.address, _told(stranger), repository)
        return Challenge(text)

    def _attempt(self, error: HTTPException, address: str, verb: Verb, repository: str) -> None:
        text = str(error.detail)
        if error.status_code in _NOT_LET_IN and self._heard.is_new(address, f"{verb} {repository}: {text}"):
            who = error.who if isinstance(error, Forbidden) else "unknown"
            self._attempted(By(actor=who, address=address), verb, repository, text)

    def _tell(self, address: str, text: str, repository: str) -> None:
        if self._heard.is_new(address, text):
            self._log.warning("refused", address=address, problem=text, repository=repository)


def _told(stranger: Stranger) -> str:
    text = _SAID[stranger.reason]
    return f"{stranger.who}: {text}" if stranger.who else text


class Forbidden(HTTPException):
    """403 to a caller that is known: ``who``."""

    def __init__(self, text: str, who: str) -> None:
        """``text``: what it may not."""
        super().__init__(403, text)
        self.who = who


class Challenge(HTTPException):
    """401 with every way in which a caller may say who it is."""

    def __init__(self, text: str, challenges: Sequence[str] = _CHALLENGES) -> None:
        """``text``: what is missing."""
        super().__init__(401, text)
        self.challenges = challenges


class _Heard:
    """What the log was told within the last minute, so that it is not flooded."""

    def __init__(self) -> None:
        self._at: OrderedDict[tuple[str, str], float] = OrderedDict()

    def is_new(self, address: str, text: str) -> bool:
        now, key = time.monotonic(), (address, text)
        if now - self._at.get(key, -_QUIET) < _QUIET:
            return False
        self._at.pop(key, None)
        self._at[key] = now
        while len(self._at) > _REMEMBERED:
            self._at.popitem(last=False)
        return True


def offered(request: Request) -> Offer:
    """What a request shows of who sends it."""
    address = request.client.host if request.client else "unknown"
    names: Sequence[str] = getattr(request.state, "certificate", ())
    kind, _, value = request.headers.get("authorization", "").strip().partition(" ")
    value = value.strip()
    match kind.lower():
        case "bearer":
            return Offer(address=address, token=value, names=names)
        case "basic":
            user, password = _basic(value)
            return Offer(address=address, user=user, password=password, names=names)
    return Offer(address=address, names=names)


def _basic(value: str) -> tuple[str, str]:
    """Name and password; what is no such pair counts as a wrong one, not as none."""
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return "", value or "-"
    user, _, password = data.decode(errors="replace").partition(":")
    return user, password
