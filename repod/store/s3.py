"""A repository in a prefix of a bucket.

The version of an object is its ETag. Who writes says which one it expects, and S3 lets exactly one of several writers
have it (``If-Match``, ``If-None-Match``).

A write whose outcome is unknown is looked up: each has a stamp of its own. Where it is not there and the state is
still the expected one, it is made again; both tries expect the same state, so they can not both be done. One that was
given up (``OutcomeUnknown``) may still be done later, until its signature ends after 15 minutes, and only
onto the very state that it expected. Who writes like that must bear it: a record that appears late is finished by
whoever finds it; the pointer moves only to a number whose record is there; a view that is brought to an older
generation is one that nobody had brought to a newer one, and the next look at it does.

``remove`` of what was listed, against ``add`` of the same bytes at the same time: DeleteObject can compare nothing
but an ETag, and an ETag depends on the bytes and on whether and how they came in parts. So an object that is added
again is given another form: in one part, or as itself. Then whoever looked at it before cannot remove it. A third
add must not give it the first form back while somebody may still hold a request to remove that: at most for
``_LOOK`` seconds after the look (``aws.within``), and then for the 15 minutes of its signature. So for ``_WINDOW``
seconds the form of what was added again stays, and it is not removed either. Left is this: one process
looks and stalls, another removes, a third adds anew, all in that time.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

from repod import aws
from repod.config import Bucket
from repod.doors import Blob, Expect, Part, Store, Stored, Version
from repod.errors import Conflict, Corrupt, NotFound, OutcomeUnknown, RepodError, Unavailable
from repod.package import Sha256, StorePath, store_path
from repod.store import s3proof
from repod.store.s3bucket import Head, Objects, metadata, new_stamp, own
from repod.store.s3content import Content, begun, pieces
from repod.store.s3parts import Copied, plan
from repod.store.s3upload import LIMITS, Source, Uploads
from repod.values import S3Place

SMALL = 16 << 20
"""Bytes up to which an object is sent in one request, and held in memory."""

_TRIES = 5
_UNKNOWN = 2  # tries, of some tries of a request each, after which an outcome stays unknown
_LOOK = 10.0
_WINDOW = 1200.0
_ABANDONED = timedelta(hours=1)


class S3Store:
    """``Store`` in a bucket. Threads and processes, on any machines, may share it."""

    def __init__(self, place: S3Place, bucket: Bucket) -> None:
        """``bucket``: how it is reached. Nothing is asked of it yet."""
        self._place = place
        self._objects = Objects(place, bucket)
        self._uploads = Uploads(self._objects)
        self._copies_parts = True
        # Whether CopyObject is known to keep off an object that is there.
        self._guarded = False

    def read(self, path: StorePath) -> Blob:
        """See ``Store.read``."""
        data, version = self._objects.get(path)
        return Blob(data=data, version=version)

    def stream(self, path: StorePath, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See ``Store.stream``. A connection that breaks is made anew, to the same version of the object."""
        self._objects.at(path)
        return self._objects.stream(path, offset, length)

    def write(self, path: StorePath, data: bytes, expect: Version | Expect) -> Version:
        """See ``Store.write``."""
        stamp = new_stamp()
        for _ in range(_UNKNOWN):
            try:
                return self._objects.put(path, data, expect, stamp=stamp)
            except OutcomeUnknown as error:
                unknown = error
            found: Version | Expect = Expect.ABSENT
            with contextlib.suppress(NotFound), _unsettled(unknown):
                head = self._objects.head(path)
                found = head.version
                if head.stamp == stamp:
                    return found
            if expect not in {Expect.ANY, found}:
                msg = f"{self._place}{path}: another writer was faster; read it and try again"
                raise Conflict(msg) from unknown
        raise unknown

    def add(self, path: StorePath, parts: Iterable[Part], checksum: Sha256) -> None:
        """See ``Store.add``. One request up to 16 MiB; of larger ones S3 copies what it has already."""
        self._objects.at(path)
        first, rest = begun(parts, SMALL)
        content = Content(first, self._objects.stream)
        if content.size > SMALL and not isinstance(parts, (list, tuple)):
            return self._add_stream(path, [*first], rest, checksum)
        if content.size > SMALL:
            return self._add_large(path, content, checksum)
        data = content.all()
        _refuse_other(path, hashlib.sha256(data).hexdigest(), checksum)

        def put(expect: Version | Expect) -> None:
            self._objects.put(path, data, expect)

        return self._put(path, len(data), checksum, put, lambda head: self._again_small(path, data, head, checksum))

    def _add_stream(self, path: StorePath, first: Iterable[Part], rest: Iterable[Part], checksum: Sha256) -> None:
        """Bytes that come only once: they are sent as they come, and checked before they show."""
        whole = pieces(_chained(first, rest), self._objects.stream)
        sent = False

        def put(expect: Version | Expect) -> None:
            nonlocal sent
            if sent:
                msg = f"{self._place}{path} changed while it was added; try again"
                raise Unavailable(msg)
            sent = True
            self._uploads.whole(path, whole, checksum, expect)

        self._put(path, None, checksum, put, lambda head: self._again_large(path, None, head, checksum))

    def _add_large(self, path: StorePath, content: Content, checksum: Sha256) -> None:
        parts = plan(content.spans, LIMITS) if self._copies_parts else ()
        copying = any(isinstance(part, Copied) for part in parts)
        # So much is not sent in vain, where a look can save it.
        there = self._head(path)
        crc = 0
        if there or copying:
            found, crc = content.digests()
            _refuse_other(path, found, checksum)

        def put(expect: Version | Expect) -> None:
            if copying and self._copies_parts:
                try:
                    return self._uploads.planned(path, parts, content.read, checksum, crc)
                except aws.Unsupported:
                    self._copies_parts = False
            return self._uploads.whole(path, content.pieces(), checksum, expect)

        def again(head: Head) -> None:
            self._again_large(path, content, head, checksum)

        self._put(path, content.size, checksum, put, again, there=there)

    def _put(
        self,
        path: StorePath,
        size: int | None,
        checksum: Sha256,
        put: Callable[[Version | Expect], None],
        again: Callable[[Head], None],
        *,
        there: Head | None = None,
    ) -> None:
        """Create an immutable object, or prove that it is there already, and let it count as modified now."""
        unknown = 0
        for _ in range(_TRIES):
            failed: RepodError | None = None
            try:
                if there is None:
                    put(Expect.ABSENT)
                    return
            except (Conflict, OutcomeUnknown) as error:
                failed = error
            with _unsettled(failed):
                there = there or self._head(path)
            unknown += isinstance(failed, OutcomeUnknown)
            if failed and unknown >= _UNKNOWN and there is None:
                raise failed
            if there is None:
                continue
            self._same(path, there, size, checksum)
            try:
                again(there)
            except (Conflict, NotFound, OutcomeUnknown) as error:
                failed, there = error, None
            else:
                return
        if isinstance(failed, OutcomeUnknown):
            raise failed
        msg = f"{self._place}{path}: others change it all the time; {_TRIES} tries were not enough, try again later"
        raise Unavailable(msg) from failed

    def _same(self, path: StorePath, there: Head, size: int | None, checksum: Sha256) -> None:
        found, length = there.sha256, there.size
        if not found:
            found, length = self._objects.digest(path, there.version)
        if found != checksum or size not in {None, length}:
            msg = f"{path}: expected nothing or SHA-256 {checksum}, found {found or 'other bytes'}; it stays as it is"
            raise Conflict(msg)

    def _again_small(self, path: StorePath, data: bytes, head: Head, checksum: Sha256) -> None:
        """Let an object count as modified now, in the other of its two forms where that may be."""
        young = head.again and head.age < _WINDOW
        parts = head.in_parts if young else not head.in_parts
        if parts and data:
            self._uploads.whole(path, [data], checksum, head.version, again=head.again + 1)
        else:
            self._objects.put(path, data, head.version, again=head.again + 1)

    def _again_large(self, path: StorePath, content: Content | None, head: Head, checksum: Sha256) -> None:
        """The same in one part, or in one more: S3 copies the object onto itself."""
        if head.size <= SMALL:
            data = b"".join(self._objects.stream(path))
            return self._again_small(path, data, head, checksum)
        young = bool(head.again) and head.age < _WINDOW
        fewest = -(-head.size // LIMITS.most)
        now = int(head.version.strip('"').rpartition("-")[2]) if head.in_parts else 0
        number = now if young and now in {fewest, fewest + 1} else fewest + (now == fewest)
        if self._copies_parts:
            try:
                itself = Source(objects=self._objects, path=path, head=head)
                return self._uploads.copied(itself, path, checksum, head.version, parts=number, again=head.again + 1)
            except aws.Unsupported:
                self._copies_parts = False
        whole = content.pieces() if content else self._objects.stream(path)
        times = head.again + (0 if young else 1)
        block = LIMITS.block * (3 if times % 2 else 2) // 2
        return self._uploads.whole(path, whole, checksum, head.version, again=max(1, times), block=block)

    def copy(self, source: StorePath, target: StorePath, checksum: Sha256, *, of: Store | None = None) -> None:
        """See ``Store.copy``. S3 copies within one server; from elsewhere the bytes are fetched and sent."""
        origin = self if of is None else of
        self._objects.at(target)
        if not isinstance(origin, S3Store) or not self._near(origin):
            return self.add(target, origin.stream(source), checksum)
        origins = origin._objects  # noqa: SLF001 - one of its own kind
        found = Source(objects=origins, path=source, head=origins.head(source))
        if found.head.sha256 != checksum:
            return self.add(target, origin.stream(source), checksum)
        there = None if self._guarded and self._objects.lease is None else self._head(target)

        def put(expect: Version | Expect) -> None:
            self._copied(found, target, checksum, expect)

        def again(head: Head) -> None:
            self._again_large(target, None, head, checksum)

        return self._put(target, found.head.size, checksum, put, again, there=there)

    def _copied(self, source: Source, target: StorePath, checksum: Sha256, expect: Version | Expect) -> None:
        objects, head = self._objects, source.head
        if head.size > LIMITS.most:
            self._uploads.copied(source, target, checksum, expect)
            return
        wanted: dict[str, Any] = {
            "CopySource": source.objects.at(source.path),
            "CopySourceIfMatch": head.version,
            "MetadataDirective": "REPLACE",
            "Metadata": metadata(checksum),
        }
        with (
            objects.expecting(target, expect) as conditions,
            objects.told(f"copying {source.path} to", target, writing=True),
        ):
            objects.client.copy_object(**objects.at(target), **wanted, **objects.described(target), **conditions)
        made = self._head(target)
        if made and (made.size, made.sha256) != (head.size, checksum):
            msg = f"{target}: expected {head.size} bytes, SHA-256 {checksum}, S3 made {made.size}, {made.sha256}"
            raise Corrupt(msg)

    def _near(self, other: "S3Store") -> bool:
        """Whether one server, asked with one identity, has both."""
        one, two = (store._objects.bucket for store in (self, other))  # noqa: SLF001 - one of its own kind
        return (one.endpoint, one.region, one.profile) == (two.endpoint, two.region, two.profile)

    def list(self, prefix: str) -> Iterable[Stored]:
        """See ``Store.list``. Folder objects, and keys that no ``StorePath`` can have, are not objects."""
        with self._objects.told("listing", prefix):
            pages = self._objects.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._place.bucket, Prefix=self._place.prefix + prefix):
                for found in page.get("Contents", ()):
                    path = found["Key"].removeprefix(self._place.prefix)
                    # SeaweedFS takes two slashes in a prefix for one.
                    if own(path) or not path.startswith(prefix):
                        continue
                    with contextlib.suppress(ValueError):
                        yield Stored(
                            path=store_path(path),
                            size=found["Size"],
                            modified=found["LastModified"].timestamp(),
                            version=found["ETag"],
                        )

    def remove(self, path: StorePath, *, seen: Stored | None = None) -> bool:
        """See ``Store.remove``. What was added again stays for 20 minutes whatever ``seen`` says."""
        if seen is None:
            return self._removed(path, Expect.ANY)
        with aws.within(_LOOK):
            head = self._head(path)
            if head is None:
                return True
            other = int(head.modified) != int(seen.modified) or seen.version not in {"", head.version}
            if other or (head.again and head.age < _WINDOW):
                return False
            return self._removed(path, head.version)

    def _removed(self, path: StorePath, expect: Version | Expect) -> bool:
        try:
            self._objects.delete(path, expect)
        except NotFound:
            return True
        except Conflict:
            return False
        except OutcomeUnknown as unknown:
            with _unsettled(unknown):
                head = self._head(path)
            if head is None:
                return True
            if expect in {Expect.ANY, head.version}:
                raise
            return False
        return True

    def sweep(self) -> int:
        """See ``Store.sweep``: our uploads that nobody has gone on with for an hour, where the server lists them."""
        return s3proof.sweep(self._objects, _ABANDONED)

    def prove(self) -> None:
        """See ``Store.prove``: six small requests, or a lease where this is to be the single writer."""
        self._guarded = s3proof.prove(self._objects)

    def _head(self, path: StorePath) -> Head | None:
        with contextlib.suppress(NotFound):
            return self._objects.head(path)
        return None


@contextlib.contextmanager
def _unsettled(unknown: RepodError | None) -> Iterator[None]:
    """Where the look at what became of a write fails, the outcome stays unknown."""
    try:
        yield
    except Unavailable as error:
        if isinstance(unknown, OutcomeUnknown):
            raise unknown from error
        raise


def _refuse_other(path: StorePath, found: str, checksum: Sha256) -> None:
    if found != checksum:
        msg = f"{path}: expected bytes with SHA-256 {checksum}, got {found}; nothing was added"
        raise Corrupt(msg)


def _chained(first: Iterable[Part], rest: Iterable[Part]) -> Iterator[Part]:
    yield from first
    yield from rest
