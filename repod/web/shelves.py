"""The files of a repository as hosts ask for them: what a path means, and the shelf of a local store."""

import errno
import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from fastapi import HTTPException, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from repod.package import StorePath
from repod.served import served

_SMALL = 1 << 18  # bytes that are read and sent at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a file is asked for: ``match`` is If-None-Match, ``since`` If-Modified-Since, ``ranged`` whether a part.

    ``handed``: by a proxy of the settings, which would rather be told where the file lies (X-Accel-Redirect).
    """

    method: str = "GET"
    match: str = ""
    since: str = ""
    ranged: bool = False
    handed: bool = False


class Shelf(Protocol):
    """The files of one repository."""

    async def answer(self, path: StorePath, asked: Asked) -> Response:
        """What GET or HEAD of ``path`` gets; ``HTTPException`` 404 where it is not there, 503 where that is unknown."""


def missing(path: str) -> HTTPException:
    """The answer where a file is not there."""
    return HTTPException(404, f"{path} is not here")


class LocalShelf:
    """``Shelf`` of a store that is a directory."""

    def __init__(self, root: Path, accel: str = "") -> None:
        """``root``: the directory; ``accel``: the path by which a proxy finds it, empty where none does."""
        self._root = root
        self._accel = accel

    async def answer(self, path: StorePath, asked: Asked) -> Response:
        """See ``Shelf.answer``. HEAD is answered as GET is; the server leaves the body out."""
        return await run_in_threadpool(self._file, path, asked)

    def _file(self, path: StorePath, asked: Asked) -> Response:
        target = self._root / path
        try:
            found = target.lstat()
            if not stat.S_ISREG(found.st_mode):
                raise missing(path)
            how = served(path)
            headers = {"Cache-Control": how.cache}
            if not how.immutable:
                # An index may be replaced at any moment: its length, tag and bytes come from one open file.
                data = target.read_bytes()
                headers["ETag"] = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
                return _unless_known(Response(data, media_type=how.type, headers=headers), asked)
            if asked.handed and self._accel:
                headers["X-Accel-Redirect"] = quote(self._accel + path, safe="/~")
                return Response(media_type=how.type, headers=headers)
            whole = _Whole(target, media_type=how.type, headers=headers, stat_result=found)
            if asked.ranged or found.st_size > _SMALL:
                return _unless_known(whole, asked)
            return _unless_known(Response(target.read_bytes(), headers=_kept(whole)), asked)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise missing(path) from error
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise missing(path) from error
            raise HTTPException(503, f"{path} cannot be read now ({error.strerror})") from error


class _Whole(FileResponse):
    chunk_size = _SMALL  # a thread reads each piece: a bigger one costs memory, a smaller one time


def _unless_known(answer: Response, asked: Asked) -> Response:
    """The answer, or that the client has it already."""
    if not _known(answer.headers, asked):
        return answer
    return Response(status_code=304, headers=_kept(answer))


def _known(headers: Mapping[str, str], asked: Asked) -> bool:
    """Whether the client has what is answered so (RFC 9110, 13.2.2: a tag stands before a time)."""
    if asked.match:
        tags = {tag.strip().removeprefix("W/") for tag in asked.match.split(",")}
        return "*" in tags or headers["ETag"] in tags
    # An index says no time: two of one second would be taken for one.
    since, changed = (_seconds(text) for text in (asked.since, headers.get("Last-Modified", "")))
    return since is not None and changed is not None and changed <= since


def _seconds(text: str) -> float | None:
    """The time that an HTTP date says, in seconds since 1970; None where it is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _kept(answer: Response) -> Mapping[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "content-length"}
