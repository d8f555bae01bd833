"""A repository in a private bucket, served by the daemon: links for what is big, answers for what is small."""

import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.lab.clients import Dnf, Zypper, choosing
from tests.lab.daemon import Repod
from tests.lab.rpms import quick
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until

_FILE = "lib++-1.0~rc1^git2-1.noarch.rpm"
_ODD = "Packages/o/ödd +name~1^2%41?#.rpm"


class Gateway(NamedTuple):
    """A running daemon whose one repository lies in a bucket."""

    repod: Repod
    s3: Seaweed
    bucket: str

    def ask(self, target: str, method: str = "GET", **more: str) -> httpx.Response:
        """Send ``target`` as it is; redirects are not followed."""
        url = httpx.URL(self.repod.url).copy_with(raw_path=f"/repos/test/{target}".encode())
        return httpx.request(method, url, headers=more, timeout=60)

    def object(self, key: str) -> bytes:
        data: bytes = self.s3.client().get_object(Bucket=self.bucket, Key=f"el9/{key}")["Body"].read()
        return data


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, key_file: Path, s3: Seaweed, long_lived: set[int]
) -> Iterator[Gateway]:
    bucket = s3.bucket()
    repositories = {"test": {"store": f"s3://{bucket}/el9/"}}
    with Repod(tmp_path_factory.mktemp("gateway"), key_file, repositories, env=s3.environ) as repod:
        long_lived.add(repod.pid)
        quick(repod.inbox(), "lib++", "1.0~rc1^git2")
        until(lambda: repod.find_events("published"), 30, "the package to be live")
        s3.client().put_object(Bucket=bucket, Key=f"el9/{_ODD}", Body=b"odd")
        yield Gateway(repod, s3, bucket)


@pytest.mark.parametrize("form", ["metalink", "mirrorlist", "baseurl"])
@pytest.mark.parametrize("client", [Dnf, Zypper])
def test_hosts_install_from_a_private_bucket_with_both_checks(
    client: type[Dnf] | type[Zypper], form: str, gateway: Gateway, tmp_path: Path
) -> None:
    """C063: dnf encodes a plus sign, zypper sends it as it is."""
    repo = choosing(gateway.repod.repo_file(), form)
    assert "gpgcheck=1" in repo
    assert "repo_gpgcheck=1" in repo
    with client(tmp_path / "host", repo) as host:
        done = host.install("lib++")
        assert (done.rc, host.installed()) == (0, ["lib++-1.0~rc1^git2-1.noarch"]), done.out


@pytest.mark.parametrize("name", [_FILE, urllib.parse.quote(_FILE, safe=""), urllib.parse.quote(_FILE, safe="+")])
def test_a_package_is_answered_by_a_link_that_is_good_for_some_minutes_only(name: str, gateway: Gateway) -> None:
    answer = gateway.ask(f"Packages/l/{name}")
    assert (answer.status_code, answer.headers["cache-control"]) == (302, "no-store")
    link = httpx.URL(answer.headers["location"])
    assert link.params["X-Amz-Expires"] == "300"
    assert link.params["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert httpx.get(link, timeout=60).content == gateway.object(f"Packages/l/{_FILE}")
    assert (
        httpx.get(link, headers={"Range": "bytes=4-9"}, timeout=60).content
        == gateway.object(f"Packages/l/{_FILE}")[4:10]
    )
    assert httpx.get(link.copy_with(query=None), timeout=60).status_code == 403


def test_a_link_for_head_answers_head(gateway: Gateway) -> None:
    answer = gateway.ask(f"Packages/l/{_FILE}", "HEAD")
    assert answer.status_code == 302
    size = len(gateway.object(f"Packages/l/{_FILE}"))
    head = httpx.head(answer.headers["location"], timeout=60)
    assert (head.status_code, head.headers["content-length"]) == (200, str(size))
    assert httpx.get(answer.headers["location"], timeout=60).status_code == 403


def test_any_name_is_encoded_once(gateway: Gateway) -> None:
    answer = gateway.ask(urllib.parse.quote(_ODD, safe="/"))
    assert httpx.get(answer.headers["location"], timeout=60).content == b"odd"
    raw = gateway.ask(urllib.parse.quote(_ODD, safe="/+"))
    assert httpx.get(raw.headers["location"], timeout=60).content == b"odd"


def test_what_keeps_its_name_is_answered_itself_and_always_asked_for(gateway: Gateway) -> None:
    for path, kind in {
        "repodata/repomd.xml": "application/xml",
        "repodata/repomd.xml.asc": "application/pgp-signature",
        "repodata/repomd.xml.key": "application/pgp-keys",
        "repodata/statement.json": "application/json",
        "metalink.xml": "application/xml",
        "mirrorlist": "text/plain; charset=utf-8",
        "test.repo": "text/plain; charset=utf-8",
        "RPM-GPG-KEY-test": "application/octet-stream",
        "generations/2/repodata/repomd.xml": "application/xml",
    }.items():
        get, head = gateway.ask(path), gateway.ask(path, "HEAD")
        assert (get.status_code, get.content) == (200, gateway.object(path)), path
        assert (get.headers["cache-control"], get.headers["content-type"]) == ("no-cache", kind), path
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers["content-length"] == str(len(get.content)), path


def test_documents_named_by_their_checksums_are_links_in_both_views(gateway: Gateway) -> None:
    listed = gateway.s3.client().list_objects_v2(Bucket=gateway.bucket, Prefix="el9/repodata/")["Contents"]
    names = [found["Key"].removeprefix("el9/") for found in listed if found["Key"].endswith(".gz")]
    assert len(names) >= 3
    for name in names:
        answer = gateway.ask(name)
        assert httpx.get(answer.headers["location"], timeout=60).content == gateway.object(name)


@pytest.mark.parametrize(
    "target",
    [
        ".repod/head.json",
        "%2erepod/head.json",
        "Packages/../.repod/head.json",
        "generations/2/.repod/head.json",
        "media.1/media",
        "content",
        "..%2fother/x",
        "Packages",
        "repodata/",
        "repodata/none.xml",
        "generations/99/repodata/repomd.xml",
        "none.repo",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_not_there_or_not_for_hosts_is_not_found(method: str, target: str, gateway: Gateway) -> None:
    assert gateway.ask(target, method).status_code == 404


def test_curl_follows_a_link_and_sends_no_credentials_along(gateway: Gateway, tmp_path: Path) -> None:
    target = tmp_path / "out.rpm"
    url = f"{gateway.repod.repo_url()}/Packages/l/{_FILE}"
    subprocess.run(["curl", "-fsSL", "-u", "any:thing", "-o", target, url], check=True, timeout=120)
    assert target.read_bytes() == gateway.object(f"Packages/l/{_FILE}")
