"""Cases about S3: what others got wrong there in public, by their ids in the list of cases."""

import gzip
import hashlib
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from repod import aws
from repod.doors import Expect
from repod.errors import NotFound, Unavailable
from repod.generation import HEAD, Head, record_path
from repod.package import Sha256, StorePath
from repod.store.s3 import S3Store
from repod.store.s3bucket import Objects
from repod.values import S3Place
from tests.lab.buckets import Buckets
from tests.lab.faultproxy import FaultProxy
from tests.lab.s3faults import Does, Rule
from tests.lab.s3requests import Request

MIB = 1 << 20
HASHED = "0" * 64


@pytest.fixture
def proxy(buckets: Buckets) -> Iterator[FaultProxy]:
    with FaultProxy(buckets.server) as running:
        yield running


@pytest.fixture
def place(buckets: Buckets) -> S3Place:
    return buckets.place()


def checksum(data: bytes) -> Sha256:
    return Sha256(hashlib.sha256(data).hexdigest())


def test_c014_all_2500_objects_are_listed_where_a_page_holds_1000(buckets: Buckets, place: S3Place) -> None:
    client = buckets.server.client()
    names = [f"Packages/p/p{number}.rpm" for number in range(2500)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: client.put_object(Bucket=place.bucket, Key=place.prefix + name), names))
    store = buckets.store(place)
    assert {stored.path for stored in store.list("")} == set(names)
    store.add(StorePath("Packages/q/q.rpm"), [b"x"], checksum(b"x"))
    assert len(list(store.list("Packages/"))) == 2501


def test_c016_folder_objects_are_no_objects_of_a_store(buckets: Buckets, place: S3Place) -> None:
    client, store = buckets.server.client(), buckets.store(place)
    for key in ("", "Packages/", "Packages/new.rpm/"):
        client.put_object(Bucket=place.bucket, Key=place.prefix + key)
    store.add(StorePath("Packages/new.rpm/real"), [b"x"], checksum(b"x"))
    assert [stored.path for stored in store.list("")] == ["Packages/new.rpm/real"]
    with pytest.raises(NotFound):
        store.read(StorePath("Packages/new.rpm"))


@pytest.mark.parametrize("does", ["denied", "error", "reset", "expired", "half"])
def test_c098_a_failed_read_of_the_pointer_never_says_that_nothing_is_there(
    buckets: Buckets, proxy: FaultProxy, place: S3Place, does: Does
) -> None:
    store = buckets.store(place, endpoint=proxy.endpoint(), attempts=1)
    store.write(HEAD, Head(generation=7).to_json(), Expect.ABSENT)
    proxy.rules = [Rule(does=does, on=["GetObject", "HeadObject", "ListObjectsV2"])]
    for act in (lambda: store.read(HEAD), lambda: list(store.stream(HEAD)), lambda: list(store.list(".repod/"))):
        with pytest.raises(Unavailable):
            act()
    with pytest.raises(NotFound):
        buckets.store(place).read(record_path(7))


@pytest.mark.parametrize(
    ("path", "cache", "kind"),
    [
        (f"repodata/{HASHED}-primary.xml.gz", "public, max-age=31536000, immutable", "application/gzip"),
        (f"generations/4/repodata/{HASHED}-primary.xml.zst", "public, max-age=31536000, immutable", "application/zstd"),
        ("Packages/h/hello-1.0-1.noarch.rpm", "public, max-age=31536000, immutable", "application/x-rpm"),
        ("repodata/repomd.xml", "no-cache", "application/xml"),
        ("repodata/repomd.xml.asc", "no-cache", "application/pgp-signature"),
        ("repodata/statement.json", "no-cache", "application/json"),
        ("generations/4/repodata/repomd.xml", "no-cache", "application/xml"),
        ("mirrorlist", "no-cache", "text/plain"),
        ("metalink.xml", "no-cache", "application/xml"),
        ("hello-prod.repo", "no-cache", "text/plain"),
        ("RPM-GPG-KEY-hello-prod", "no-cache", "application/octet-stream"),
        (".repod/head.json", "no-cache", "application/json"),
    ],
)
def test_c116_and_c118_caches_keep_what_never_changes_and_ask_for_the_rest_and_nothing_is_said_to_be_encoded(
    buckets: Buckets, place: S3Place, path: str, cache: str, kind: str
) -> None:
    store = buckets.store(place)
    made = {"written": store.write, "added": None, "copied": None}
    data = gzip.compress(b"<metadata/>", mtime=0)
    store.add(StorePath("source"), [data], checksum(data))
    for how in made:
        match how:
            case "written":
                store.write(StorePath(path), data, Expect.ABSENT)
            case "added":
                store.add(StorePath(path), [data], checksum(data))
            case _:
                store.copy(StorePath("source"), StorePath(path), checksum(data))
        told = buckets.head(place, path)
        assert (told["CacheControl"], told["ContentType"], told.get("ContentEncoding")) == (cache, kind, None), how
        store.remove(StorePath(path))


def test_c118_the_body_as_a_client_sees_it_has_the_checksum_of_the_index(buckets: Buckets, place: S3Place) -> None:
    data = gzip.compress(b"<metadata/>", mtime=0)
    path = f"repodata/{checksum(data)}-primary.xml.gz"
    buckets.store(place).add(StorePath(path), [data], checksum(data))
    body = buckets.server.client().get_object(Bucket=place.bucket, Key=place.prefix + path)["Body"].read()
    assert checksum(body) == checksum(data)


def test_c154_a_server_that_refuses_the_newer_checksums_works_with_the_setting_that_the_error_names(
    buckets: Buckets, proxy: FaultProxy, place: S3Place
) -> None:
    proxy.modes = ["refuse checksums"]
    with pytest.raises(Unavailable, match=r"set \[s3\] checksums = false"):
        buckets.store(place, endpoint=proxy.endpoint()).write(StorePath("x"), b"x", Expect.ABSENT)
    asked: list[Request] = []
    proxy.rules = [Rule(does="error", where=lambda request: bool(asked.append(request)))]
    store, data = buckets.store(place, endpoint=proxy.endpoint(), checksums=False), b"l" * (17 * MIB)
    store.prove()
    version = store.write(StorePath("x"), b"x", Expect.ABSENT)
    store.write(StorePath("x"), b"y", version)
    store.add(StorePath("large"), [data], checksum(data))
    store.copy(StorePath("large"), StorePath("copy"), checksum(data))
    assert b"".join(store.stream(StorePath("copy"))) == data
    assert {stored.path for stored in store.list("")} == {"x", "large", "copy"}
    assert all(store.remove(stored.path, seen=stored) for stored in store.list(""))
    assert list(store.list("")) == []
    sent = [request for request in asked if request.operation in {"PutObject", "UploadPart"}]
    assert all(request.get("content-md5") for request in sent)


def test_c156_24_threads_make_stores_at_the_same_time(buckets: Buckets, place: S3Place) -> None:
    settings = buckets.settings()
    faults: list[BaseException] = []

    def make(barrier: threading.Barrier) -> None:
        try:
            barrier.wait(60)
            Objects(place, settings).clients.s3()
        except BaseException as error:  # noqa: BLE001 - whatever it was, the test tells it
            faults.append(error)

    for number in range(50):
        if number % 10 == 0:
            aws.Clients(settings).renew()  # so the session and all clients are made anew
            kept = aws.Clients(settings)
        barrier = threading.Barrier(24)
        threads = [threading.Thread(target=make, args=[barrier]) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert kept.s3()  # as a daemon does: what is made once is there for all who come
    assert faults == []


def _uploaded_in_parts(buckets: Buckets, place: S3Place, path: str, data: bytes) -> None:
    client = buckets.server.client()
    at = {"Bucket": place.bucket, "Key": place.prefix + path}
    upload = client.create_multipart_upload(**at)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(data), 5 * MIB), 1):
        body = data[start : start + 5 * MIB]
        part = client.upload_part(**at, UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    client.complete_multipart_upload(**at, UploadId=upload, MultipartUpload={"Parts": parts})


def test_c158_an_object_in_three_parts_is_neither_corrupt_nor_changed(buckets: Buckets, place: S3Place) -> None:
    store: S3Store = buckets.store(place)
    data, path = b"".join(b"%015d\n" % number for number in range(11 * MIB // 16)), StorePath("Packages/l/large.rpm")
    _uploaded_in_parts(buckets, place, path, data)
    assert buckets.head(place, path)["ETag"].endswith('-3"')
    one, two = (list(store.list(path)) for _ in range(2))
    assert one == two
    store.add(path, [data], checksum(data))
    store.copy(path, StorePath("copy"), checksum(data))
    assert store.read(StorePath("copy")).data == data
    blob = store.read(path)
    assert blob.version == store.read(path).version
    store.write(path, b"next", blob.version)
    assert store.read(path).data == b"next"


def test_c158_versions_of_the_same_bytes_in_other_forms_are_only_compared(buckets: Buckets, place: S3Place) -> None:
    store, path = buckets.store(place), StorePath("x")
    store.add(path, [b"x"], checksum(b"x"))
    versions = [store.read(path).version]
    store.add(path, [b"x"], checksum(b"x"))
    versions.append(store.read(path).version)
    assert all(one != two for one, two in itertools.pairwise(versions))
    assert buckets.head(place, path)["Metadata"]["sha256"] == checksum(b"x")
