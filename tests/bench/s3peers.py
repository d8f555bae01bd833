"""How packages get into a bucket today: ``createrepo_c --update``, then upload all documents, or sync the folder."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.measure import command
from tests.bench.peers import link
from tests.lab.faultproxy import FaultProxy
from tests.lab.s3requests import Counts
from tests.lab.seaweed import Seaweed

_BIN = Path(sys.executable).parent
_SIDE_BY_SIDE = 8


class Peers:
    """One folder that grows, and two buckets that follow it: one by whole uploads, one by ``aws s3 sync``."""

    def __init__(self, folder: Path, server: Seaweed, whole: str, sync: str) -> None:
        """``whole`` and ``sync``: the buckets, empty."""
        self._folder = folder
        self._server = server
        self._buckets = whole, sync
        self._words = [str(_BIN / "createrepo_c"), "--general-compress-type=gz", "--update", str(folder)]

    def base(self, paths: Sequence[Path]) -> None:
        """Begin with ``paths``. The bucket that is synced holds the packages too, since a sync lists them."""
        link(paths, self._folder / "Packages")
        command(self._words)
        client, (whole, sync) = self._server.client(), self._buckets
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
            files = [path for path in self._folder.rglob("*") if path.is_file()]
            list(threads.map(lambda path: self._put(client, sync, path), files))
        self._upload(client, whole)

    def add(self, path: Path, endpoint: str) -> tuple[float, float]:
        """Add one package, and let both buckets follow: the seconds that each way took."""
        link([path], self._folder / "Packages")
        made = command(self._words).seconds
        client = self._server.client(endpoint)
        start = time.perf_counter()
        self._whole(client, path)
        whole = time.perf_counter() - start
        start = time.perf_counter()
        self._sync(endpoint)
        return made + whole, made + time.perf_counter() - start

    def counted(self, path: Path, proxy: FaultProxy) -> tuple[Counts, Counts]:
        """What each way asks of S3 for one more package."""
        link([path], self._folder / "Packages")
        command(self._words)
        endpoint = proxy.endpoint("peers")
        counts = [proxy.counts()]
        self._whole(self._server.client(endpoint), path)
        counts.append(proxy.counts())
        self._sync(endpoint)
        counts.append(proxy.counts())
        return counts[1] - counts[0], counts[2] - counts[1]

    def _whole(self, client: Any, path: Path) -> None:
        """As rpm-s3 does: the package, all documents, the index; then what the index named before goes."""
        bucket = self._buckets[0]
        self._put(client, bucket, self._folder / "Packages" / path.name)
        listed = client.list_objects_v2(Bucket=bucket, Prefix="repodata/").get("Contents", ())
        kept = self._upload(client, bucket)
        for old in listed:
            if old["Key"] not in kept:
                client.delete_object(Bucket=bucket, Key=old["Key"])

    def _upload(self, client: Any, bucket: str) -> set[str]:
        documents = sorted((self._folder / "repodata").iterdir(), key=lambda path: path.name == "repomd.xml")
        return {self._put(client, bucket, path) for path in documents}

    def _put(self, client: Any, bucket: str, path: Path) -> str:
        key = str(path.relative_to(self._folder))
        client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
        return key

    def _sync(self, endpoint: str) -> None:
        words = [sys.executable, str(_BIN / "aws"), "--endpoint-url", endpoint, "s3", "sync", "--only-show-errors"]
        words += ["--delete", str(self._folder), f"s3://{self._buckets[1]}/"]
        subprocess.run(words, check=True, env=os.environ | dict(self._server.environ), stdin=subprocess.DEVNULL)
