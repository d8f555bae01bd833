"""The shelf of a store in a bucket: big files by links that S3 answers, small ones through repod.

What never changes (packages, documents named by their checksums) is answered with a redirect to a presigned
URL: the bytes never pass through the daemon. What keeps its name (``repomd.xml``, its signature, keys,
``mirrorlist``) is a few KiB and is answered itself: one round trip less for each host, ``404`` where it is
missing although the bucket's readers may see ``403`` only, and the same ``Cache-Control`` as from a directory.
"""

import re
from contextlib import AbstractContextManager
from functools import partial

from fastapi import HTTPException, Response
from fastapi.responses import RedirectResponse

from repod import aws
from repod.config import Bucket
from repod.errors import NotFound, RepodError
from repod.package import StorePath
from repod.served import served
from repod.values import S3Place
from repod.web.desk import Desk
from repod.web.shelves import Asked, missing

RETRY_SECONDS = 5
# What a repository may hold, so that a guess (zypper's media.1/media, a scanner's .env) costs no request.
_POSSIBLE = re.compile(
    r"Packages/.+|(generations/[0-9]+/)?repodata/[^/]+"
    r"|mirrorlist|metalink\.xml|rollout\.json|index\.html|[^/]+\.repo|RPM-GPG-KEY-[^/]+"
)
# A host that waits longer than this asks elsewhere, or again.
_SMALL = {"timeout": 5.0, "attempts": 2}


class BucketShelf:
    """``Shelf`` of a store in a bucket."""

    def __init__(self, place: S3Place, bucket: Bucket, *, links: float, desk: Desk) -> None:
        """``links``: seconds for which a link is good."""
        self._place = place
        self._links = int(links)
        self._desk = desk
        self._clients = aws.Clients(bucket.model_copy(update=_SMALL))

    async def answer(self, path: StorePath, asked: Asked) -> Response:
        """See ``Shelf.answer``."""
        if not _POSSIBLE.fullmatch(path):
            raise missing(path)
        work = partial(self._link, path, asked.method) if served(path).immutable else partial(self._small, path)
        try:
            return await self._desk.run(work)
        except NotFound as error:
            raise missing(path) from error
        except RepodError as error:
            raise HTTPException(503, str(error), headers={"Retry-After": str(RETRY_SECONDS)}) from error

    def _link(self, path: StorePath, method: str) -> Response:
        # A signature is for one method: zypper asks by HEAD first.
        operation = "head_object" if method == "HEAD" else "get_object"
        with self._told(path):
            url = self._clients.s3().generate_presigned_url(
                operation,
                Params={"Bucket": self._place.bucket, "Key": self._key(path)},
                ExpiresIn=self._links,
                HttpMethod=method,
            )
        return RedirectResponse(url, status_code=302, headers={"Cache-Control": "no-store"})

    def _small(self, path: StorePath) -> Response:
        with self._told(path):
            answer = self._clients.s3().get_object(Bucket=self._place.bucket, Key=self._key(path))
            data = answer["Body"].read()
        how = served(path)
        return Response(data, media_type=how.type, headers={"Cache-Control": how.cache})

    def _key(self, path: StorePath) -> str:
        return self._place.prefix + path

    def _told(self, path: StorePath) -> AbstractContextManager[None]:
        return aws.told(self._clients, f"{self._place}{path} cannot be read now")
