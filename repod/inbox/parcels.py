"""Uploads into a prefix of a bucket: gathered in a private file here, then sent as one object."""

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from repod.config import Bucket
from repod.errors import Conflict
from repod.inbox.names import Wanted, left_alone
from repod.inbox.prefix import Prefix
from repod.inbox.sending import PART, Load, Sending
from repod.inbox.staging import Room, Staging, unwritten
from repod.letterbox import Expect
from repod.values import S3Place


class BucketLetterbox:
    """``Letterbox`` of a prefix of a bucket."""

    def __init__(
        self,
        place: S3Place,
        bucket: Bucket,
        *,
        workspace: Path,
        limit: int,
        wanted: Wanted,
        knock: Callable[[], None],
        part: int = PART,
    ) -> None:
        """``workspace``: a private folder. ``knock`` wakes who waits for arrivals."""
        self.limit = limit
        self._prefix = Prefix(place, bucket)
        self._workspace = workspace
        self._wanted = wanted
        self._knock = knock
        self._part = part
        self._room = Room(workspace)

    def refuses(self, name: str) -> str:
        """See ``Letterbox``."""
        return left_alone(name, folder=False, wanted=self._wanted)

    def open(self, name: str, size: int | None) -> "_Parcel":
        """See ``Letterbox``."""
        try:
            with tempfile.TemporaryFile(dir=self._workspace) as file:
                staging = Staging(os.dup(file.fileno()), self._room, size)
        except OSError as error:
            raise unwritten(error) from error
        return _Parcel(self._prefix, name, staging, self._knock, self._part)


class _Parcel:
    """``Letter`` into a bucket."""

    def __init__(self, prefix: Prefix, name: str, staging: Staging, knock: Callable[[], None], part: int) -> None:
        self._prefix = prefix
        self._name = name
        self._staging = staging
        self._knock = knock
        self._sending = Sending(prefix, part=part)

    def write(self, data: bytes) -> None:
        self._staging.write(data)

    def deliver(self, expect: Expect) -> str:
        for name in names_for(self._name):
            if self._prefix.look(name) is not None:
                continue
            expect(name)
            with suppress(Conflict):
                self._sending.send(name, Load(file=self._staging.file, size=self._staging.size))
                self._knock()
                return name
        raise AssertionError  # there is no last name

    def close(self) -> None:
        self._staging.close()


def names_for(name: str) -> Iterator[str]:
    """``NAME``, then names like it that nobody else has."""
    yield name
    while True:
        yield f"{secrets.token_hex(4)}-{name}"
