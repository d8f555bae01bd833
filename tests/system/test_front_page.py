"""A person who opens a repository's URL finds help: as the daemon, a bucket or any web server hands it out."""

import http.client
import re
import shlex
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lxml import etree, html

from repod.welcome import PAGE, mark
from tests.lab import rpms
from tests.lab.browser import LOOKS, chromium
from tests.lab.clients import Dnf, Host, Zypper
from tests.lab.daemon import Repod
from tests.lab.httpd import serving
from tests.lab.looks import head, names
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until

_FILE = "lib++-1.0~rc1^git2-1.noarch.rpm"
_SUMMARY = 'Say <b>hello</b> & "good-bye" to everybody who is there, in a sentence that is rather long for a summary'


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Repod]:
    base = tmp_path_factory.mktemp("front")
    with Repod(
        base, key_file, {"test": {}, "next": {"url": "http://repod.test/next/", "promotion": {"from": ["test"]}}}
    ) as repod:
        long_lived.add(repod.pid)
        rpms.quick(repod.inbox(), "lib++", "1.0~rc1^git2", summary=_SUMMARY)
        rpms.quick(repod.inbox(), "hello", "1.9")
        rpms.quick(repod.inbox(), "hello", "1.10")
        until(lambda: at(repod) == head(repod.store()) and b"1.10" in page(repod), 60, "the front page")
        until(lambda: at(repod, "next") == head(repod.store("next")), 60, "the front page of the other one")
        yield repod


def page(repod: Repod, name: str = "test") -> bytes:
    path = repod.store(name) / PAGE
    return path.read_bytes() if path.exists() else b""


def at(repod: Repod, name: str = "test") -> int:
    """The generation that the page of a repository is of; 0 where there is none."""
    found = mark(page(repod, name))
    return found.generation if found else 0


def written(repod: Repod) -> tuple[int, int]:
    """Which file the page is, and when it was written."""
    found = (repod.store() / PAGE).stat()
    return found.st_ino, found.st_mtime_ns


def tree(data: bytes) -> etree._Element:
    return html.document_fromstring(data.decode())


def lines(data: bytes) -> dict[str, str]:
    """The line that is offered for each tool."""
    ways = tree(data).find(".//dl[@class='ways']")
    tools, texts = (["".join(one.itertext()).strip() for one in ways.iterfind(tag)] for tag in ("dt", "dd"))
    return dict(zip(tools, texts, strict=True))


@pytest.mark.parametrize("target", ["", PAGE])
def test_the_daemon_shows_the_page_at_the_url_of_the_repository(daemon: Repod, target: str) -> None:
    place = urlsplit(daemon.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    connection.request("GET", f"/repos/test/{target}")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, page(daemon))
    headers = {name.lower(): value for name, value in answer.getheaders()}
    connection.close()
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_every_link_of_the_page_leads_to_what_it_names_from_a_plain_web_server_too(daemon: Repod) -> None:
    """C063: names with ``+``, ``~`` and ``^`` are encoded once."""
    links = [one.get("href") for one in tree(page(daemon)).iterfind(".//a")]
    assert f"Packages/l/{_FILE.replace('+', '%2B').replace('^', '%5E')}" in links
    with serving(daemon.store()) as url:
        for base in (f"{url}/", f"{daemon.repo_url()}/"):
            for link in links:
                with urllib.request.urlopen(base + link) as answer:
                    assert answer.read() == (daemon.store() / urllib.request.unquote(link)).read_bytes()


@pytest.mark.parametrize(("tool", "client"), [("dnf", Dnf), ("zypper", Zypper)])
def test_the_line_for_a_tool_is_enough_to_install_with_both_checks(
    daemon: Repod, tmp_path: Path, tool: str, client: type[Host]
) -> None:
    fetch, _, install = lines(page(daemon))[tool].partition(" && ")
    program, options, file, url = shlex.split(fetch)
    with client(tmp_path) as host:
        target = tmp_path / file.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([program, options, target, url], check=True)
        assert {"gpgcheck=1", "repo_gpgcheck=1"} <= set(target.read_text().splitlines())
        words = shlex.split(install)
        assert words[:2] == [tool, "install"]
        done = host.install(*words[2:])
        assert done.rc == 0, done.out
        assert any(words[2] in nevra for nevra in host.installed())


def test_a_change_by_a_command_beside_the_daemon_is_on_the_page_soon(daemon: Repod) -> None:
    assert at(daemon, "next") == head(daemon.store("next"))
    done = daemon.cli("promote", "hello", "--from", "test", "--to", "next")
    assert done.rc == 0, done.err
    until(lambda: b"hello" in page(daemon, "next"), 30, "the page to follow the command")
    assert at(daemon, "next") == head(daemon.store("next"))


def test_verify_and_prune_let_the_page_be_and_one_that_is_not_ours_is_told_of(daemon: Repod) -> None:
    rpms.quick(daemon.inbox("next"), "another")
    until(lambda: b"another" in page(daemon, "next"), 30, "the page to follow the inbox")
    before = page(daemon, "next")
    found = daemon.cli("verify", "next")
    assert (found.rc, "index.html" in found.out) == (0, False)
    assert daemon.cli("prune", "next").rc == 0
    assert page(daemon, "next") == before
    theirs = b"<title>by hand</title>"
    (daemon.store("next") / PAGE).write_bytes(theirs)
    found = daemon.cli("verify", "next")
    assert "index.html" in found.out
    assert "not repod's" in found.out
    assert daemon.cli("rollback", "next").rc == 0
    until(lambda: daemon.find_events("front page not written", repository="next"), 30, "the daemon to tell of it")
    assert page(daemon, "next") == theirs


def test_repod_once_writes_the_page_and_where_nothing_is_new_the_same_file_stays(
    tmp_path: Path, key_file: Path
) -> None:
    repod = Repod(tmp_path, key_file)
    rpms.quick(repod.inbox())
    assert repod.once().rc == 0
    first = written(repod)
    assert at(repod) == head(repod.store())
    assert repod.once().rc == 0
    assert written(repod) == first
    # What the state directory holds is a cache: without it the page is the same.
    data = page(repod)
    subprocess.run(["rm", "-r", repod.base / "state"], check=True)
    (repod.store() / PAGE).unlink()
    assert repod.once().rc == 0
    assert page(repod) == data
    assert names(repod.base / "state/catalog") == ["test.lock", "test.sqlite"]


def test_in_a_bucket_the_page_is_html_that_is_always_asked_for_anew(
    s3: Seaweed, tmp_path: Path, key_file: Path
) -> None:
    bucket = s3.bucket()
    repod = Repod(
        tmp_path,
        key_file,
        {"test": {"store": f"s3://{bucket}/el9/"}},
        {"s3": {"endpoint": s3.endpoint, "addressing": "path"}},
        s3=s3,
    )
    rpms.quick(repod.inbox(), "lib++", "1.0~rc1^git2")
    assert repod.once().rc == 0
    answer = s3.client().get_object(Bucket=bucket, Key=f"el9/{PAGE}")
    assert (answer["ContentType"], answer["CacheControl"]) == ("text/html; charset=utf-8", "no-cache")
    assert b"lib%2B%2B-1.0~rc1%5Egit2" in answer["Body"].read()
    assert repod.once().rc == 0
    again = s3.client().head_object(Bucket=bucket, Key=f"el9/{PAGE}")
    assert again["LastModified"] == answer["LastModified"]
    with repod:
        status, body = repod.get("/repos/test/")
        assert (status, mark(body) is not None) == (200, True)


def test_the_page_is_fit_for_everybody_in_a_real_browser_wide_and_narrow_light_and_dark(daemon: Repod) -> None:
    with chromium() as browser, browser.window(f"{daemon.repo_url()}/") as window:
        window.page.goto("./")
        window.page.locator("summary").press("Enter")
        assert "repo_gpgcheck=1" in window.page.inner_text("details")
        for size, scheme in LOOKS:
            window.look(size, scheme)
            assert window.faults() == []
            assert _SUMMARY in window.page.locator("tbody").inner_text()
            assert re.search(r"[0-9A-F]{4}( [0-9A-F]{4}){9}", window.page.inner_text("main"))
        window.shoot("front-page")
