"""Bodies of requests that are small: of the type that the route takes, and of a bounded size."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ClassVar

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message

from repod.numerals import number
from repod.web.api.problems import MEDIA, Declined

JSON = "application/json"


def media_type(request: Request) -> str:
    """What the body is said to be, without parameters; empty where that is not said."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


class BoundedRoute(APIRoute):
    """A route whose body has at most ``largest`` bytes, and says that it is of the type that is ``wanted``."""

    largest: ClassVar[int] = 64 << 10

    def wanted(self) -> Sequence[str]:
        """The media types that the body may be of, the best first."""
        return (JSON,)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See ``APIRoute``."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            if request.method in {"POST", "PUT"}:
                self._check(request)
                request = Request(request.scope, self._receiving(request))
            return await handle(request)

        return bounded

    def _check(self, request: Request) -> None:
        length = request.headers.get("content-length", "0")
        size = number(length)
        if size is None or size > self.largest:
            raise self._too_large()
        if length == "0" and "transfer-encoding" not in request.headers:
            return
        kind, wanted = media_type(request), self.wanted()
        if kind not in wanted:
            found = repr(kind) if kind else "none"
            raise Declined(MEDIA, f"expected a body with Content-Type: {' or '.join(wanted)}, found {found}")

    def _receiving(self, request: Request) -> Callable[[], Coroutine[Any, Any, Message]]:
        taken = 0

        async def receive() -> Message:
            nonlocal taken
            message = await request.receive()
            taken += len(message.get("body", b""))
            if taken > self.largest:
                raise self._too_large()
            return message

        return receive

    def _too_large(self) -> HTTPException:
        # Of all that is raised while a body is read, FastAPI lets this alone through.
        return HTTPException(413, f"expected a body of at most {self.largest} bytes")
