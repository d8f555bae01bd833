"""Uploads: ``curl -T FILE`` puts a package or a document into an inbox."""

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.requests import ClientDisconnect

from repod.access import UPLOAD
from repod.errors import NotFound, OutcomeUnknown, RepodError, Unavailable
from repod.letterbox import Letterbox
from repod.office import Arrival, By, Record
from repod.package import trace
from repod.web.api.arrivals import Arrivals, Ticket, outcome
from repod.web.api.door import Door, Name
from repod.web.api.problems import documented, problem, respond
from repod.web.api.receiving import Brought, Receiving, Upload, announced
from repod.web.desk import Desk

LONGEST_WAIT = 60
_AT_ONCE = 64
_NOTING = 2  # threads that write into the audit log
_OF_ONE = 32  # that one caller may have under way: the slowest one leaves room for others
_PREFERRED = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,6})", re.IGNORECASE)
_BODY = {
    "requestBody": {
        "required": True,
        "description": "The file as it is. A checksum may be given: Content-Digest, Repr-Digest (RFC 9530) or "
        "X-Checksum-Sha256.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_WAIT = Query(ge=0, le=LONGEST_WAIT, description="Answer when it is live or rejected, or after so many seconds.")


class Log(Protocol):
    """What hears of uploads."""

    def info(self, event: str, **fields: Any) -> object:
        """One line."""

    def error(self, event: str, **fields: Any) -> object:
        """One line."""


class Inboxes:
    """Takes uploads in, a bounded number at once. Only the event loop of the listener uses it."""

    def __init__(
        self, door: Door, letterboxes: Callable[[], Mapping[str, Letterbox]], arrivals: Arrivals, log: Log, desk: Desk
    ) -> None:
        """``letterboxes`` is asked for each upload; ``desk``: threads that write, of this one alone."""
        self._door = door
        self._letterboxes = letterboxes
        self._arrivals = arrivals
        self._log = log
        self._receiving = Receiving(desk)
        # Its own: whoever asks much holds up no upload.
        self._notes = Desk(threads=_NOTING, waiting=_AT_ONCE * 2)
        self._going = Counter[str]()

    async def take(self, request: Request, repository: str, file: str, by: By) -> Brought:
        """Bring the body of ``request`` into the inbox; raises what stands against it."""
        box = self._letterboxes().get(repository)
        if box is None:
            msg = f"there is no repository {repository!r} here"
            raise NotFound(msg)
        record = self._door.office().record
        with self._counted(by.actor):
            # What could not be written down is not taken in.
            await self._notes.run(record.ready)
            try:
                upload = announced(request, file, box, repository)
                brought = await self._received(request, upload, box, repository)
            except RepodError as error:
                await self._note(record, repository, {"file": file}, by, f"refused: {error}")
                raise
        self._log.info(
            "uploaded",
            repository=repository,
            file=brought.file,
            size=brought.size,
            sha256=brought.sha256,
            trace=trace(brought.sha256),
            by=by.actor,
            address=by.address,
        )
        details = {"file": brought.file, "sha256": brought.sha256, "size": brought.size}
        await self._note(record, repository, details, by)
        return brought

    async def _received(self, request: Request, upload: Upload, box: Letterbox, repository: str) -> Brought:
        board = self._arrivals.board
        try:
            return await self._receiving.receive(
                request, upload, box, expect=lambda checksum, name: board.expect(repository, checksum, name)
            )
        except OutcomeUnknown:
            raise
        except RepodError:
            board.withdraw(repository, upload.digests.sha256)
            raise

    @contextlib.contextmanager
    def _counted(self, actor: str) -> Iterator[None]:
        """While an upload is under way; ``Unavailable`` where there are too many."""
        for count, most in ((self._going[actor], _OF_ONE), (self._going.total(), _AT_ONCE)):
            if count >= most:
                msg = f"{count} uploads are under way; try again later"
                raise Unavailable(msg)
        self._going[actor] += 1
        try:
            yield
        finally:
            self._going[actor] -= 1
            self._going += Counter()  # without those at 0

    async def _note(
        self, record: Record, repository: str, details: Mapping[str, Any], by: By, outcome: str = "done"
    ) -> None:
        """Write it down; what is done is done all the same where that fails now."""
        try:
            await self._notes.run(
                lambda: record(by=by, what="upload", repository=repository, details=details, outcome=outcome)
            )
        except RepodError as error:
            self._log.error("upload is not in the audit log", repository=repository, problem=str(error), **details)


def make_inbox(door: Door, arrivals: Arrivals, inboxes: Inboxes) -> APIRouter:
    """The routes about inboxes."""
    api = APIRouter(tags=["arrivals"])

    @api.put(
        "/repositories/{name}/inbox/{file:path}",
        operation_id="upload",
        status_code=202,
        response_model=Ticket,
        responses={
            200: {"model": Ticket, "description": "It is live."},
            202: {"description": "It lies in the inbox, and waits for its turn. Ask again at the header Location."},
            **documented("not-found", "too-large", "no-arrival", "mismatch", "no-room"),
        },
        openapi_extra=_BODY,
    )
    async def upload(
        request: Request,
        name: Name,
        file: Annotated[str, Path(max_length=1000, description="The name of the file.")],
        by: Annotated[By, Depends(door.changes(UPLOAD))],
        wait: Annotated[int | None, _WAIT] = None,
    ) -> Response:
        """Put a package or a document into the inbox: ``curl -T FILE`` with this URL, up to its last slash.

        How long to wait may be said by ``Prefer: wait=SECONDS`` too.
        """
        seconds = preferred(request) if wait is None else wait
        try:
            brought = await inboxes.take(request, name, file, by)
        except ClientDisconnect:
            # Nobody is there to read it.
            return respond(problem("malformed", "the upload broke off; nothing of it was kept"))
        arrived = arrivals.board.of(name, brought.sha256)
        found = arrived or Arrival(sha256=brought.sha256, state="waiting", file=brought.file)
        if seconds:
            found = await arrivals.wait(name, brought.sha256, seconds)
        return outcome(name, found)

    return api


def preferred(request: Request) -> int:
    """How many seconds the caller would wait (RFC 7240), at most ``LONGEST_WAIT``; 0 where it does not say."""
    match = _PREFERRED.search(",".join(request.headers.getlist("prefer")))
    return min(int(match[1]), LONGEST_WAIT) if match else 0
