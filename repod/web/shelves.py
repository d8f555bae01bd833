"""The files of a repository as hosts ask for them: what a path means, and the shelf of a local store."""

import errno
from pathlib import Path
from typing import Protocol

from fastapi import HTTPException, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from repod.package import StorePath
from repod.served import served


class Shelf(Protocol):
    """The files of one repository."""

    async def answer(self, path: StorePath, method: str) -> Response:
        """What GET or HEAD of ``path`` gets; ``HTTPException`` 404 where it is not there, 503 where that is unknown."""


def missing(path: str) -> HTTPException:
    """The answer where a file is not there."""
    return HTTPException(404, f"{path} is not here")


class LocalShelf:
    """``Shelf`` of a store that is a directory."""

    def __init__(self, root: Path) -> None:
        """``root``: the directory."""
        self._root = root

    async def answer(self, path: StorePath, method: str) -> Response:  # noqa: ARG002 - HEAD is answered as GET is
        """See ``Shelf.answer``."""
        return await run_in_threadpool(self._file, path)

    def _file(self, path: StorePath) -> Response:
        target = self._root / path
        try:
            if target.is_symlink() or not target.is_file():
                raise missing(path)
            how = served(path)
            headers = {"Cache-Control": how.cache}
            if how.immutable:
                return FileResponse(target, media_type=how.type, headers=headers)
            # An index may be replaced at any moment: its length and its bytes come from one open file.
            return Response(target.read_bytes(), media_type=how.type, headers=headers)
        except FileNotFoundError as error:
            raise missing(path) from error
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise missing(path) from error
            raise HTTPException(503, f"{path} cannot be read now ({error.strerror})") from error
