"""The form that rolls a repository back: first what would change, then the deed, each by a token that is typed in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastapi import HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from repod.access import ROLLBACK
from repod.errors import Refused, RepodError
from repod.office import By, Deed
from repod.web.api.problems import INVALID, Declined
from repod.web.gate import offered
from repod.web.pages import past
from repod.web.pages.front import Asked, Front

_LARGEST = 16384  # bytes of a form
_LONGEST = 1000  # characters of a field
_LINES = 500
_FORM = "application/x-www-form-urlencoded"
_NO_TOKEN = {401, 403, 429}
_FIELDS = ("token", "why", "on", "step")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What the form asks for; ``on`` is the generation that was current when it was shown."""

    asked: Asked
    name: str
    number: int
    token: str
    why: str
    on: str
    step: str

    def deed(self, by: By, *, dry_run: bool) -> Deed:
        """What comes of it; a policy that says no is an answer too."""
        try:
            return self.asked.office.deeds.rollback(self.name, self.number, by, dry_run=dry_run)
        except RepodError as error:
            if error.exit_code != Refused.exit_code:
                raise
            rows = [{"why": line} for line in str(error).splitlines()]
            return Deed(repository=self.name, generation=None, rows=rows, refused=True)


class Rollbacks:
    """Answers the form."""

    def __init__(self, front: Front) -> None:
        """``front``: who is let in, and the threads that work."""
        self._front = front

    async def answer(self, request: Request, name: str, number: int) -> Response:
        """Preview or deed, as the form asks; a wrong token gets the form again."""
        asked = await self._front.asked(request, name)
        wish = _Wish(asked=asked, name=name, number=number, **await _fields(request))
        work: Callable[[], Response]
        try:
            by = await self._who(request, wish)
        except HTTPException as error:
            if error.status_code not in _NO_TOKEN:
                raise
            work = partial(self._again, wish, str(error.detail))
        else:
            work = partial(self._publish if wish.step == "run" else self._preview, wish, by)
        return await self._front.door.desk.run(work)

    async def _who(self, request: Request, wish: _Wish) -> By:
        _same_site(request)
        if not wish.token:
            raise HTTPException(403, "the token is missing")
        caller = await self._front.door.gate.admit_change(request, ROLLBACK, wish.name, token=wish.token)
        return By(actor=str(caller), address=offered(request).address, why=wish.why)

    def _again(self, wish: _Wish, problem: str) -> Response:
        """The page with the form and what is wrong with it. Not 401: a browser would ask for a password then."""
        values = past.one(wish.asked, wish.name, wish.number)
        more = {"wrong": f"Nothing was changed: {problem}.", "why": wish.why}
        return self._front.page(wish.asked, "generation.html", {**values, **more}, status=403)

    def _preview(self, wish: _Wish, by: By) -> Response:
        return self._shown(wish, wish.deed(by, dry_run=True))

    def _publish(self, wish: _Wish, by: By) -> Response:
        if wish.on != str(wish.asked.state(wish.name).generation):
            moved = "Nothing was changed: somebody published meanwhile. This is what would change now."
            return self._shown(wish, wish.deed(by, dry_run=True), moved)
        deed = wish.deed(by, dry_run=False)
        if deed.refused:
            return self._shown(wish, deed)
        made = deed.generation or wish.asked.state(wish.name).generation
        return RedirectResponse(f"{made}?done=rollback", status_code=303)

    def _shown(self, wish: _Wish, deed: Deed, wrong: str = "") -> Response:
        looks = wish.asked.office.looks
        values: dict[str, Any] = {
            "state": wish.asked.state(wish.name),
            "number": wish.number,
            "refused": [_line(row) for row in deed.rows] if deed.refused else [],
            "warnings": deed.warnings,
            "change": {} if deed.refused else looks.diff(wish.name, None, wish.name, wish.number),
            "limit": _LINES,
            "preview": True,
            "wrong": wrong,
            "why": wish.why,
        }
        status = 422 if deed.refused else 409 if wrong else 200
        return self._front.page(wish.asked, "rollback.html", values, status=status)


def _line(row: Mapping[str, Any]) -> str:
    return ", ".join(str(value) for value in row.values() if value)


def _same_site(request: Request) -> None:
    """A form of another site is refused; for browsers that do not say whose it is, by the header Origin."""
    origin = request.headers.get("origin")
    if "sec-fetch-site" in request.headers or origin is None:
        return
    if urlsplit(origin).netloc != request.headers.get("host"):
        raise HTTPException(403, "changes are not taken from pages of other sites")


async def _fields(request: Request) -> Mapping[str, str]:
    """The fields of the form, empty where they are not there."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise HTTPException(415, f"expected a form ({_FORM}), found {kind or 'no content type'!r}")
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > _LARGEST:
            raise HTTPException(413, f"expected a form of at most {_LARGEST} bytes")
    try:
        fields = parse_qs(data.decode(), max_num_fields=len(_FIELDS) * 4, errors="strict")
    except ValueError as error:
        raise HTTPException(400, f"the form is malformed ({error})") from error
    # A reason of several lines becomes one.
    found = {key: " ".join(fields.get(key, [""])[0].split()) for key in _FIELDS}
    if len(found["why"]) > _LONGEST or not all(map(str.isprintable, found.values())):
        msg = f"why: expected a reason of at most {_LONGEST} printable characters"
        raise Declined(INVALID, msg)
    return found
