"""nginx before repod, with the settings that come along: files straight from the store, the rest by repod."""

import hashlib
import json
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.lab.audits import read
from tests.lab.certificates import Authority
from tests.lab.clients import Dnf
from tests.lab.daemon import Repod
from tests.lab.nginx import running, written
from tests.lab.ports import free_port
from tests.lab.rpms import quick, tool
from tests.lab.wait import heard, until

_ODD = ("lib++", "1.0~rc1^2")
_BIG = 3_000_000


class Front(NamedTuple):
    """``el9-prod`` is public and served by nginx itself, ``el9-private`` by leave of repod."""

    repod: Repod
    url: str
    authority: Authority
    secret: str

    def client(self, url: str = "") -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        return httpx.Client(base_url=url or self.url, verify=context, timeout=60)

    def get(self, path: str, *, direct: bool = False, method: str = "GET", **headers: str) -> httpx.Response:
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        with self.client(self.repod.url if direct else "") as client:
            return client.request(method, path, headers=shown)

    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}

    def files(self, name: str) -> list[str]:
        """Every file that a host may ask for."""
        store = self.repod.store(name)
        found = sorted(path.relative_to(store) for path in store.rglob("*") if path.is_file())
        return [str(path) for path in found if not any(part.startswith(".") for part in path.parts)]


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Front]:
    base = tmp_path_factory.mktemp("nginx")
    authority = Authority(base / "ca")
    port = free_port()
    url = f"https://localhost:{port}"
    http = {"access": "readers", "tokens": "tokens.json", "accel": "/repod-internal/"}
    repositories = {
        name: {"public": name == "el9-prod", "url": f"{url}/repos/{name}/"} for name in ("el9-prod", "el9-private")
    }
    settings = {"http": http, "audit": {"file": "audit.jsonl"}}
    with Repod(base / "repod", key_file, repositories, settings=settings) as repod:
        long_lived.add(repod.pid)
        secret = repod.cli("token add", "ci", "--may", "read", "--may", "upload").out.strip()
        for name in repositories:
            quick(repod.inbox(name), "hello")
            quick(repod.inbox(name), *_ODD)
        until(lambda: len(repod.find_events("package published")) == 4, 60, "the packages to be live")
        for name in repositories:
            # It is written after each generation, and must not be written anew between two looks of a test.
            until(lambda name=name: _is_on_front_page(repod.store(name)), 60, f"the front page of {name}")
        upstream = repod.url.removeprefix("http://")
        main = written(
            base / "nginx", port=port, upstream=upstream, stores=base / "repod/www", pair=authority.issue("localhost")
        )
        with running(main, port) as process:
            long_lived.add(process.pid)
            yield Front(repod, url, authority, secret)


def _is_on_front_page(store: Path) -> bool:
    page = store / "index.html"
    return page.exists() and all(name in page.read_text() for name in ("hello", _ODD[0]))


def _repo(front: Front, name: str, *lines: str) -> str:
    key = front.repod.store(name) / f"RPM-GPG-KEY-{name}"
    text = [f"[{name}]", f"name={name}", f"baseurl={front.url}/repos/{name}/", "gpgcheck=1", "repo_gpgcheck=1"]
    return "\n".join([*text, f"gpgkey=file://{key}", f"sslcacert={front.authority.file}", *lines]) + "\n"


def test_dnf_installs_from_a_public_repository(front: Front, tmp_path: Path) -> None:
    with Dnf(tmp_path, _repo(front, "el9-prod")) as host:
        done = host.install(_ODD[0])
        assert (done.rc, host.installed()) == (0, ["lib++-1.0~rc1^2-1.noarch"]), done.out


def test_dnf_installs_from_a_private_repository_with_a_token(front: Front, tmp_path: Path) -> None:
    with Dnf(tmp_path, _repo(front, "el9-private", "username=ci", f"password={front.secret}")) as host:
        done = host.install(_ODD[0], "hello")
        assert (done.rc, host.installed()) == (0, ["hello-1.0-1.noarch", "lib++-1.0~rc1^2-1.noarch"]), done.out


def test_nginx_says_the_same_of_every_file_as_repod_does(front: Front) -> None:
    files = front.files("el9-prod")
    assert {"mirrorlist", "index.html", "el9-prod.repo", "repodata/repomd.xml.asc", "repodata/statement.json"} <= set(
        files
    )
    for file in [*files, ""]:
        path = f"/repos/el9-prod/{file.replace('+', '%2B').replace('^', '%5E')}"
        here, there = front.get(path), front.get(path, direct=True)
        assert (here.status_code, here.content) == (200, there.content), path
        for header in ("Content-Type", "Cache-Control", "X-Content-Type-Options", "Content-Encoding"):
            assert here.headers.get(header) == there.headers.get(header), (path, header)


def test_an_index_is_never_taken_for_another_of_the_same_second_and_size(front: Front) -> None:
    path = "/repos/el9-prod/repodata/repomd.xml"
    first = front.get(path)
    assert "ETag" not in first.headers
    assert front.get(path, If_Modified_Since=first.headers["Last-Modified"]).status_code == 200


def test_private_files_come_from_nginx_by_leave_of_repod(front: Front) -> None:
    store = front.repod.store("el9-private")
    for file in front.files("el9-private"):
        path = f"/repos/el9-private/{file.replace('+', '%2B').replace('^', '%5E')}"
        assert front.get(path).status_code == 401
        found = front.get(path, **front.bearer())
        assert (found.status_code, found.content) == (200, (store / file).read_bytes()), path
        assert "X-Accel-Redirect" not in found.headers
        alone = front.get(path, direct=True, **front.bearer())
        assert alone.content == found.content
        for header in ("Content-Type", "Cache-Control", "X-Content-Type-Options"):
            assert found.headers.get(header) == alone.headers.get(header), (path, header)
    package = "Packages/h/hello-1.0-1.noarch.rpm"
    part = front.get(f"/repos/el9-private/{package}", **front.bearer(), Range="bytes=10-19")
    assert (part.status_code, part.content) == (206, (store / package).read_bytes()[10:20])
    handed = front.get(
        f"/repos/el9-private/{package}", direct=True, **front.bearer(), X_Sendfile_Type="X-Accel-Redirect"
    )
    assert handed.headers["X-Accel-Redirect"] == f"/repod-internal/el9-private/{package}"
    assert handed.content == b""


@pytest.mark.parametrize(
    "path",
    [
        "/repod-internal/el9-private/Packages/h/hello-1.0-1.noarch.rpm",
        "/repos/el9-prod/.repod/head.json",
        "/repos/el9-prod/%2erepod/head.json",
        "/repos/el9-prod/Packages/../.repod/head.json",
        "/repos/el9-prod/..%2fel9-private/repodata/repomd.xml",
        "/repos/el9-prod../el9-private/repodata/repomd.xml",
        "/repos/el9-prod/Packages/",
    ],
)
def test_what_is_nobodys_business_is_not_served(front: Front, path: str) -> None:
    words = [tool("curl"), "-s", "--path-as-is", "--cacert", str(front.authority.file), "-w", "\n%{http_code}"]
    done = subprocess.run([*words, front.url + path], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.rpartition("\n")[2] in {"400", "401", "403", "404"}, done.stdout


def test_uploads_pass_through_and_nobody_is_believed_what_he_says_of_his_address(front: Front, tmp_path: Path) -> None:
    package = quick(tmp_path, "big", files={"/opt/big": hashlib.shake_128(b"big").digest(_BIG)})
    assert package.stat().st_size > _BIG
    url = "/api/v1/repositories/el9-private/inbox/big.rpm?wait=30"
    with front.client() as client:
        headers = {**front.bearer(), "X-Forwarded-For": "203.0.113.9", "Expect": "100-continue"}
        answer = client.put(url, content=package.read_bytes(), headers=headers)
        assert (answer.status_code, answer.json()["state"]) == (200, "published"), answer.text
        refused = client.put(url, content=b"x", headers={"Authorization": "Bearer repod_guess"})
        assert refused.status_code == 401
    uploads = [one for one in read(front.repod.config.parent / "audit.jsonl") if one["what"] == "upload"]
    assert uploads[0]["address"] == "127.0.0.1"


def test_events_are_told_through_nginx_as_they_happen(front: Front, tmp_path: Path) -> None:
    path = "/api/v1/repositories/el9-private/events"
    with front.client() as client, client.stream("GET", path, headers=front.bearer()) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        quick(front.repod.inbox("el9-private"), "news")
        told = heard(stream.iter_lines(), lambda line: line.startswith("data:") and "published" in line, "the event")
    assert json.loads(told.removeprefix("data:"))["type"] == "repod.generation.published.v1"


def test_pages_and_health_are_by_repod(front: Front) -> None:
    assert front.get("/healthz").text == "ok\n"
    assert front.get("/readyz").json()["ready"] is True
    assert front.get("/api/v1/version", **front.bearer()).status_code == 200


# ---------------------------------------------------------------- repod by itself


def test_a_download_that_broke_off_is_carried_on(front: Front, tmp_path: Path) -> None:
    path = "Packages/h/hello-1.0-1.noarch.rpm"
    whole = (front.repod.store("el9-prod") / path).read_bytes()
    target = tmp_path / "hello.rpm"
    target.write_bytes(whole[:1000])
    words = [tool("curl"), "-fsS", "-C", "-", "-o", str(target), f"{front.repod.url}/repos/el9-prod/{path}"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert target.read_bytes() == whole


@pytest.mark.parametrize("path", ["repodata/repomd.xml", "Packages/h/hello-1.0-1.noarch.rpm", ""])
def test_what_a_client_has_is_not_sent_again(front: Front, path: str) -> None:
    url = f"/repos/el9-prod/{path}"
    first = front.get(url, direct=True)
    tag = first.headers["ETag"]
    for match in (tag, f'"other", W/{tag}', "*"):
        again = front.get(url, direct=True, If_None_Match=match)
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["ETag"], again.headers["Cache-Control"]) == (tag, first.headers["Cache-Control"])
    assert front.get(url, direct=True, If_None_Match='"other"').status_code == 200


def test_a_part_or_the_head_alone_is_answered(front: Front) -> None:
    path = "/repos/el9-prod/Packages/h/hello-1.0-1.noarch.rpm"
    whole = front.get(path, direct=True)
    head = front.get(path, direct=True, method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    for header in ("Content-Length", "Content-Type", "ETag", "Last-Modified", "Accept-Ranges", "Cache-Control"):
        assert head.headers[header] == whole.headers[header]
    part = front.get(path, direct=True, Range="bytes=100-199")
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert part.headers["ETag"] == whole.headers["ETag"]
    stale = front.get(path, direct=True, Range="bytes=100-199", If_Range='"other"')
    assert (stale.status_code, stale.content) == (200, whole.content)
    beyond = front.get(path, direct=True, Range="bytes=99999999-")
    assert beyond.status_code == 416
