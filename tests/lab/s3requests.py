"""Requests to S3 as a proxy sees them: which operation on what, counted; and signed anew where it changed one."""

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_HOP = {"connection", "keep-alive", "proxy-connection", "expect", "transfer-encoding", "te", "upgrade"}
_UNSIGNED = _HOP | {"user-agent", "content-length", "authorization", "x-amzn-trace-id", "accept-encoding"}
_CONDITIONS = {"if-match", "if-none-match"}
_CHECKSUM = re.compile(r"x-amz-(checksum-.*|sdk-checksum-algorithm)")
_CLASSES = (
    ("pointer", r"\.repod/head\.json"),
    ("record", r"\.repod/generations/\d+\.json"),
    ("frozen index", r"generations/\d+/repodata/repomd\.xml(\.asc)?"),
    ("document", r"(generations/\d+/)?repodata/[0-9a-f]{64}-[^/]+"),
    ("live index", r"repodata/repomd\.xml(\.asc)?"),
    ("link", r"mirrorlist|metalink\.xml"),
    ("package", r"Packages/.*\.rpm"),
    ("own", r"\.repod/.*"),
)
_KINDS = tuple((name, re.compile(rf"(.*/)?({pattern})")) for name, pattern in _CLASSES)

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The head of one request. ``client``: which door of the proxy it came in by."""

    client: str
    method: str
    target: str
    headers: Headers

    def get(self, name: str) -> str:
        """A header's value; empty where it is not there. ``name`` in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def without(self, *names: str) -> Headers:
        """The headers but for these; names in lower case."""
        return [(key, value) for key, value in self.headers if key.lower() not in names]

    @property
    def bucket(self) -> str:
        """The bucket's name, by path style."""
        return urlsplit(self.target).path.lstrip("/").split("/", 1)[0]

    @property
    def key(self) -> str:
        """The key, decoded; empty for a request about the bucket."""
        return unquote("".join(urlsplit(self.target).path.lstrip("/").split("/", 1)[1:]))

    @property
    def query(self) -> Mapping[str, Sequence[str]]:
        """The query, decoded."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def conditional(self) -> bool:
        """Whether it is a write that expects a state."""
        return self.method != "GET" and any(self.get(name) for name in _CONDITIONS)

    @property
    def operation(self) -> str:
        """Its name in the S3 API."""
        return _operation(self.method, self.key, self.query, copies=bool(self.get("x-amz-copy-source")))

    @property
    def kind(self) -> str:
        """What its key is in a repository or an inbox: ``pointer``, ``document``, ``package``, ``other``, …"""
        return kind_of(self.key)


def kind_of(key: str) -> str:
    """What a key is in a repository; ``bucket`` for none, ``other`` for what is no part of one."""
    if not key:
        return "bucket"
    return next((name for name, pattern in _KINDS if pattern.fullmatch(key)), "other")


def _operation(method: str, key: str, query: Mapping[str, Any], *, copies: bool) -> str:
    if not key:
        return _of_bucket(method, query)
    if method == "PUT" and "partNumber" in query:
        return "UploadPartCopy" if copies else "UploadPart"
    if method == "PUT":
        return "CopyObject" if copies else "PutObject"
    if method == "POST":
        return "CreateMultipartUpload" if "uploads" in query else "CompleteMultipartUpload"
    if "uploadId" in query:
        return {"GET": "ListParts", "DELETE": "AbortMultipartUpload"}.get(method, method)
    return {"GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}.get(method, method)


def _of_bucket(method: str, query: Mapping[str, Any]) -> str:
    if method == "GET":
        names = {"uploads": "ListMultipartUploads", "versions": "ListObjectVersions", "location": "GetBucketLocation"}
        return next((name for word, name in names.items() if word in query), "ListObjectsV2")
    known = {"HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket", "POST": "DeleteObjects"}
    return known.get(method, method)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many requests, and how many bytes of bodies went up and came down."""

    requests: int = 0
    up: int = 0
    down: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(requests=self.requests + other.requests, up=self.up + other.up, down=self.down + other.down)

    def __sub__(self, other: "Tally") -> "Tally":
        """What came since ``other``."""
        return Tally(requests=self.requests - other.requests, up=self.up - other.up, down=self.down - other.down)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was asked so far, by operation and kind of key. ``later - earlier`` is what came between."""

    rows: Mapping[tuple[str, str], Tally]

    def total(self, operation: str = "", kind: str = "") -> Tally:
        """The sum over the rows of one operation, one kind of key, or all."""
        picked = (tally for (one, other), tally in self.rows.items() if operation in {"", one} and kind in {"", other})
        return sum(picked, Tally())

    def by_operation(self) -> Mapping[str, Tally]:
        """The sums of each operation, by its name."""
        return {name: self.total(name) for name in sorted({operation for operation, _ in self.rows})}

    def __sub__(self, earlier: "Counts") -> "Counts":
        """What came since ``earlier``; rows without a request are left out."""
        rows = {row: tally - earlier.rows.get(row, Tally()) for row, tally in self.rows.items()}
        return Counts(rows={row: tally for row, tally in rows.items() if tally.requests})

    def __str__(self) -> str:
        """A table: operation, kind of key, requests, bytes up, bytes down."""
        lines = [f"{'operation':24}{'key':14}{'requests':>9}{'up':>13}{'down':>13}"]
        lines += [
            f"{operation:24}{kind:14}{tally.requests:9}{tally.up:13,}{tally.down:13,}"
            for (operation, kind), tally in [*sorted(self.rows.items()), (("all", ""), self.total())]
        ]
        return "\n".join(lines)


class Counting:
    """Counts requests; any thread may look."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._rows = Counter[tuple[str, str]](), Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        self._lock = threading.Lock()

    def add(self, request: Request, *, requests: int = 0, up: int = 0, down: int = 0) -> None:
        """Count what ``request`` moved."""
        row = request.operation, request.kind
        with self._lock:
            for counter, number in zip(self._rows, (requests, up, down), strict=True):
                counter[row] += number

    def now(self) -> Counts:
        """The counts up to now."""
        with self._lock:
            asked, up, down = self._rows
            return Counts(rows={row: Tally(requests=asked[row], up=up[row], down=down[row]) for row in asked})


def unconditional(request: Request) -> Request:
    """The request without its conditions, as a server takes it that knows none."""
    return replace(request, headers=request.without(*_CONDITIONS)) if request.conditional else request


def unchecked(request: Request) -> Request:
    """The request without its checksums, as a server takes it that knows none."""
    return replace(request, headers=request.without(*_checksums(request)))


def carries_checksum(request: Request) -> bool:
    """Whether a server that knows no checksums would stumble over it."""
    return any(True for _ in _checksums(request))


def _checksums(request: Request) -> Iterator[str]:
    return (key.lower() for key, _ in request.headers if _CHECKSUM.fullmatch(key.lower()))


def plus_read_as_space(request: Request) -> Request:
    """The request as a server takes it that reads ``+`` in a path as a space."""
    path, mark, query = request.target.partition("?")
    return replace(request, target=path.replace("+", "%20") + mark + query)


class _Auth(S3SigV4Auth):
    """Signs what the client said of its payload, which went by unread."""

    said = "UNSIGNED-PAYLOAD"

    def payload(self, request: AWSRequest) -> str:  # noqa: ARG002 - as the base class calls it
        return self.said


class Resigner:
    """Signs requests anew, with the current time: for what a proxy changes, or dates."""

    def __init__(self, access_key: str, secret_key: str, region: str) -> None:
        """The key pair that the server knows."""
        self._credentials = Credentials(access_key, secret_key)
        self._region = region

    def sign(self, request: Request) -> Request:
        """The same request with a good signature. Presigned ones cannot be."""
        kept = [(key, value) for key, value in request.headers if key.lower() not in _UNSIGNED | {"x-amz-date"}]
        url = f"http://{request.get('host')}{request.target}"
        signed = AWSRequest(method=request.method, url=url, headers=dict(kept))
        auth = _Auth(self._credentials, "s3", self._region)
        auth.said = request.get("x-amz-content-sha256") or auth.said
        auth.add_auth(signed)
        rest = [(key, value) for key, value in request.headers if key.lower() in _UNSIGNED - {"authorization"}]
        return replace(request, headers=[*signed.headers.items(), *rest])
