"""Opens the inbox of a repository where the settings say that it lies: a directory, or a prefix of a bucket.

The inboxes of one system that name the same queue share one receiver of it.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from repod.config import Repository, Settings, rejected_place
from repod.doors import Inbox
from repod.inbox.directory import DirectoryInbox
from repod.inbox.letters import DirectoryLetterbox
from repod.inbox.names import Wanted, left_alone
from repod.inbox.reasons import ReasonFolder
from repod.inbox.watcher import Log
from repod.letterbox import Letterbox
from repod.refused import Reasons
from repod.values import S3Place

if TYPE_CHECKING:
    from repod.inbox.queue import Receiver


class WatchedInbox(Inbox, Protocol):
    """An inbox that says whether it hears of arrivals as configured."""

    @property
    def up(self) -> bool:
        """Whether it does; False before the first scan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An inbox, and where single files are brought to it."""

    inbox: WatchedInbox
    letterbox: Letterbox


class Inboxes:
    """Opens inboxes; closes them and what they share, the queues last."""

    def __init__(
        self, settings: Settings, *, log: Log, wanted: Wanted, count: Callable[[str], None], workspace: Path
    ) -> None:
        """``wanted``: see ``DirectoryInbox``. ``count``: told what becomes of each message of a queue.

        ``workspace``: a private folder, for what goes into a bucket.
        """
        self._settings = settings
        self._log = log
        self._wanted = wanted
        self._count = count
        self._workspace = workspace
        self._receivers: dict[str, Receiver] = {}
        self._stack = ExitStack()

    def open(self, repository: Repository) -> Opened:
        """The inbox of a repository; ``Misconfigured`` where its place cannot be used."""
        place = S3Place.parse(repository.inbox)
        opened = self._bucket(repository, place) if place else self._directory(repository)
        self._stack.callback(opened.inbox.close)
        return opened

    def close(self) -> None:
        """Close everything; messages in hand go back into their queues."""
        self._stack.close()

    def _directory(self, repository: Repository) -> Opened:
        watch = self._settings.inbox
        inbox = DirectoryInbox(
            Path(repository.inbox),
            rejected=Path(rejected_place(repository.inbox)),
            watch=watch.watch,
            scan_interval=watch.scan_interval,
            settle=watch.settle,
            incomplete_after=watch.incomplete_after,
            clock=time.time,
            log=self._log,
            wanted=self._wanted,
        )
        letterbox = DirectoryLetterbox(
            Path(repository.inbox),
            limit=repository.acceptance.max_size,
            wanted=self._wanted_by(repository),
            vouch=inbox.vouch,
            knock=inbox.knock,
        )
        return Opened(inbox=inbox, letterbox=letterbox)

    def _bucket(self, repository: Repository, place: S3Place) -> Opened:
        from repod.inbox.bucket import BucketInbox  # noqa: PLC0415 - it brings boto3
        from repod.inbox.parcels import BucketLetterbox  # noqa: PLC0415 - it brings boto3

        watch, bucket = self._settings.inbox, self._settings.s3.of(place.bucket)
        polled = watch.watch == "poll" or not repository.queue
        inbox = BucketInbox(
            place,
            bucket,
            receiver=None if polled else self._receiver(repository.queue, place),
            scan_interval=watch.scan_interval,
            list_interval=watch.list_interval,
            visibility=watch.visibility,
            log=self._log,
            wanted=self._wanted,
        )
        letterbox = BucketLetterbox(
            place,
            bucket,
            workspace=self._workspace,
            limit=repository.acceptance.max_size,
            wanted=self._wanted_by(repository),
            knock=inbox.knock,
        )
        return Opened(inbox=inbox, letterbox=letterbox)

    def _wanted_by(self, repository: Repository) -> Wanted:
        """Whether a repository lets a file of that name in, which is no RPM."""
        return self._wanted if repository.acceptance.documents else lambda _name: False

    def _receiver(self, url: str, place: S3Place) -> "Receiver":
        """The receiver of a queue, which is reached as the bucket is that is named with it first."""
        from repod.inbox.queue import Receiver  # noqa: PLC0415 - it brings boto3

        if url not in self._receivers:
            bucket = self._settings.s3.of(place.bucket)
            self._receivers[url] = Receiver(
                url, bucket, visibility=self._settings.inbox.visibility, log=self._log, count=self._count
            )
            self._stack.callback(self._receivers[url].close)
        return self._receivers[url]


def held(settings: Settings, repository: Repository, wanted: Wanted) -> tuple[int, int]:
    """How many packages and documents an inbox holds, and how many lie among its refused ones."""
    place = S3Place.parse(repository.inbox)
    if place is None:
        return _below(Path(repository.inbox), wanted), _below(Path(rejected_place(repository.inbox)), wanted)
    from repod.inbox.bucket import count  # noqa: PLC0415 - it brings boto3

    return count(place, settings.s3.of(place.bucket), wanted)


def open_reasons(settings: Settings, repository: Repository) -> Reasons:
    """What is told of the arrivals that were refused."""
    place = S3Place.parse(repository.inbox)
    if place is None:
        return ReasonFolder(Path(rejected_place(repository.inbox)))
    from repod.inbox.bucket import reasons  # noqa: PLC0415 - it brings boto3

    return reasons(place, settings.s3.of(place.bucket))


def _below(folder: Path, wanted: Wanted) -> int:
    alone = partial(left_alone, folder=False, wanted=wanted)
    return sum(not alone(path.name) and path.is_file() for path in folder.rglob("*"))
