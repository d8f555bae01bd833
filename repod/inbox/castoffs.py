"""Refused arrivals in a bucket: each goes below ``rejected/`` of its prefix, with an object that says why."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from repod import jsontext
from repod.errors import Conflict, NotFound, RepodError
from repod.inbox.names import REASON, shown
from repod.inbox.prefix import REJECTED, Object, Prefix
from repod.inbox.rejected import as_json, candidates
from repod.refused import Told

COPY_LIMIT = 256 << 20
"""Bytes above which an object is copied in parts: one request for more might outlast its time."""

_MOST_PARTS = 10_000
_STALE = 3600.0  # no copy takes so long: a reason without its object is a stopped process's
_LARGEST_REASON = 1 << 20
_ETAG, _SHA256 = "repod-etag", "repod-sha256"


class Castoffs:
    """What any number of daemons move refused arrivals to.

    The reason is created first, if its name is free: that claims the name. So no object lies here without
    one, and a process that stops in between leaves the arrival where it was.
    """

    def __init__(self, prefix: Prefix, *, copy_limit: int = COPY_LIMIT) -> None:
        """``copy_limit``: see ``COPY_LIMIT``; a part has at least as many bytes."""
        self._prefix = prefix
        self._copy_limit = copy_limit

    def receive(self, name: str, mark: str, said: dict[str, object], checksum: str) -> str:
        """Copy the arrival here, in exactly this state, with what is said of it; the name it has here.

        Content that is here already under that name is kept once. ``Conflict`` where the arrival is in
        another state, ``NotFound`` where it is gone. It is left where it is.
        """
        source = self._prefix.look(name)
        if source is None:
            raise NotFound(f"{shown(name)} is no longer in the inbox")
        if source.etag != mark.partition(" ")[0]:
            raise Conflict(f"{shown(name)} changed after it was seen; it is looked at again")
        for candidate in candidates(name.rpartition("/")[2]):
            why = as_json(said | {"file": shown(candidate)})
            there = self._prefix.head(REJECTED + candidate)
            if there and not _same(there, source, checksum):
                continue
            reason = self._put(candidate, why) if there else self._claim(candidate, why, said)
            if reason and not there:
                self._move(source, candidate, checksum, reason)
            if reason:
                return candidate
        raise AssertionError  # there is no last candidate

    def sweep(self, objects: Iterable[Object]) -> None:
        """Take away old reasons of nothing. ``objects``: all there are below the prefix."""
        there = {item.name: item for item in objects if item.name.startswith(REJECTED)}
        for name, item in there.items():
            old = self._prefix.now() - item.modified > _STALE
            if old and name.endswith(REASON) and name.removesuffix(REASON) not in there:
                with contextlib.suppress(RepodError):
                    self._prefix.delete(name, item.mark)

    def _claim(self, candidate: str, why: bytes, said: Mapping[str, object]) -> str:
        """The ETag of the reason that was written where nothing lay; empty where the name is another's."""
        with contextlib.suppress(Conflict):
            return self._put(candidate, why, IfNoneMatch="*")
        there = self._prefix.look(REJECTED + candidate + REASON)
        if there is None:
            return ""
        mine = self._tells_of(there, said) or self._prefix.now() - there.modified > _STALE
        with contextlib.suppress(Conflict, NotFound):
            return self._put(candidate, why, IfMatch=there.etag) if mine else ""
        return ""

    def _tells_of(self, reason: Object, said: Mapping[str, object]) -> bool:
        """Whether a reason was written for the same arrival, by a process that stopped or is at it too."""
        with contextlib.suppress(RepodError, ValueError):
            found = jsontext.loads(b"".join(self._prefix.pieces(reason.name, reason.mark, reason.size)))
            return all(found[key] == said[key] for key in ("inbox_path", "sha256", "size"))
        return False

    def _put(self, candidate: str, why: bytes, **expected: Any) -> str:
        name = REJECTED + candidate + REASON
        with self._prefix.told(name, "may or may not have been written", writing=True):
            answer = self._prefix.clients.s3().put_object(
                **self._prefix.at(name),
                Body=why,
                ContentType="application/json",
                **self._prefix.encrypted(),
                **expected,
            )
        return answer["ETag"]

    def _move(self, source: Object, candidate: str, checksum: str, reason: str) -> None:
        """Copy the object; where it is another by now its reason goes again, unless somebody else copied it."""
        try:
            self._copy(source, candidate, checksum)
        except (Conflict, NotFound):
            if self._prefix.head(REJECTED + candidate) is None:
                self._prefix.delete(REJECTED + candidate + REASON, reason)
            raise

    def _copy(self, source: Object, candidate: str, checksum: str) -> None:
        target = self._prefix.at(REJECTED + candidate)
        kept: dict[str, Any] = {"Metadata": {_ETAG: source.etag.strip('"')} | ({_SHA256: checksum} if checksum else {})}
        kept |= {"ContentType": "application/x-rpm"} | self._prefix.encrypted()
        origin: dict[str, Any] = {"CopySource": self._prefix.at(source.name), "CopySourceIfMatch": source.etag}
        with self._prefix.told(source.name, "may or may not have been copied to rejected/", writing=True):
            if source.size <= self._copy_limit:
                self._prefix.clients.s3().copy_object(**target, **origin, **kept, MetadataDirective="REPLACE")
            else:
                self._copy_parts(target, origin, kept, source.size)

    def _copy_parts(self, target: Any, origin: Any, kept: Any, size: int) -> None:
        client = self._prefix.clients.s3()
        upload = client.create_multipart_upload(**target, **kept)["UploadId"]
        try:
            parts: list[Any] = []
            for number, (first, last) in enumerate(_ranges(size, self._copy_limit), 1):
                answer = client.upload_part_copy(
                    **target, **origin, UploadId=upload, PartNumber=number, CopySourceRange=f"bytes={first}-{last}"
                )
                parts.append({"ETag": answer["CopyPartResult"]["ETag"], "PartNumber": number})
            client.complete_multipart_upload(**target, UploadId=upload, MultipartUpload={"Parts": parts})
        except BaseException:
            with contextlib.suppress(Exception):
                client.abort_multipart_upload(**target, UploadId=upload)
            raise


class CastoffReasons:
    """``Reasons`` of what lies there."""

    def __init__(self, prefix: Prefix) -> None:
        """``prefix``: the inbox's."""
        self._prefix = prefix

    def list(self) -> Sequence[Told]:
        """See ``Reasons.list``."""
        return [
            Told(name=_arrival(item.name), modified=int(item.modified * 1e9), mark=f"{item.size} {item.mark}")
            for item in self._prefix.list(REJECTED)
            if item.name.endswith(REASON) and item.size <= _LARGEST_REASON
        ]

    def read(self, told: Told) -> bytes | None:
        """See ``Reasons.read``."""
        size, _, mark = told.mark.partition(" ")
        with contextlib.suppress(NotFound, Conflict):
            return b"".join(self._prefix.pieces(REJECTED + told.name + REASON, mark, int(size)))
        return None


def _arrival(reason: str) -> str:
    return reason.removeprefix(REJECTED).removesuffix(REASON)


def _ranges(size: int, part: int) -> Iterator[tuple[int, int]]:
    part = max(part, -(-size // _MOST_PARTS))
    for first in range(0, size, part):
        yield first, min(first + part, size) - 1


def _same(there: Mapping[str, Any], source: Object, checksum: str) -> bool:
    """Whether the refused object, as S3 tells of it, has the bytes of ``source``."""
    kept = there.get("Metadata", {})
    etags = {there["ETag"].strip('"'), kept.get(_ETAG)}
    return bool(there["ContentLength"] == source.size) and (
        source.etag.strip('"') in etags or (checksum != "" and kept.get(_SHA256) == checksum)
    )
