"""`repod-report` on a host: what it sends of a real rpm database to a real daemon, what retention makes of it, and
what it says where it cannot."""

import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.lab.clients import Completed, Dnf, run
from tests.lab.daemon import Repod
from tests.lab.daemon import repod as command
from tests.lab.rpms import quick
from tests.lab.wait import until

_FILES = Path(__file__).resolve().parents[2] / "repod/hosts/files"
_PROGRAM = _FILES / "repod-report"
_OLD, _NEW, _NEWEST = (f"app-1.0-{number}.noarch" for number in (1, 2, 3))


class Reporter:
    """The program with the settings of one host."""

    def __init__(self, folder: Path, url: str, token: str = "", shell: Sequence[str] = ("dash",), **more: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._shell = shell
        self._token = folder / "token"
        self._token.write_text(f"{token}\n")
        self._token.chmod(0o600)
        self.settings = {
            "url": url,
            "repositories": "test",
            "token_file": str(self._token),
            "host": "web1.example.com",
            "state": str(folder / "state"),
            "tries": "1",
            "pause": "0",
        } | more

    def __call__(self, *words: str) -> Completed:
        config = self.folder / "repod-report.conf"
        config.write_text("".join(f"{key} = {value}\n" for key, value in self.settings.items()))
        # Debian's rpm has its database below the home folder.
        home = Path(self.settings.get("root", str(self.folder)))
        done = run([*self._shell, _PROGRAM, "-c", config, *words], home)
        assert self._token.read_text().strip() not in done.out or not self._token.read_text().strip()
        return done


@pytest.fixture(scope="module")
def repod(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Repod]:
    base = tmp_path_factory.mktemp("report")
    settings = {"http": {"listen": "127.0.0.1:0", "tokens": "tokens.json"}}
    found = Repod(base, key_file, {"test": {"retention": {"keep": 1}}, "other": {}}, settings=settings)
    with found:
        long_lived.add(found.pid)
        yield found


@pytest.fixture(scope="module")
def token(repod: Repod) -> str:
    return repod.cli("token add", "web1", "--may", "report").out.strip()


def listed(repod: Repod) -> set[str]:
    answer = httpx.get(f"{repod.url}/api/v1/repositories/test/packages?name=app", timeout=60)
    return {row["package"] for row in answer.json()["rows"]} if answer.status_code == 200 else set()


def put(repod: Repod, release: str) -> None:
    quick(repod.inbox(), "app", release=release)
    until(lambda: f"app-1.0-{release}.noarch" in listed(repod), 60, f"release {release} to be listed")


def hosts(repod: Repod, token: str, package: str = "app") -> Any:
    url = f"{repod.url}/api/v1/repositories/test/hosts?package={package}"
    answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()["hosts"]


def test_what_a_real_host_runs_and_ran_before_is_kept_by_retention_until_the_host_is_forgotten(
    repod: Repod, token: str, tmp_path: Path
) -> None:
    put(repod, "1")
    with Dnf(tmp_path / "root", repod.repo_file()) as dnf:
        report = Reporter(tmp_path / "conf", repod.url, token, root=str(dnf.root))
        for release in ("1", "2"):
            if release == "2":
                put(repod, release)
            done = dnf.install("app")
            assert done.rc == 0, done.out
            said = report()
            assert said == Completed(0, "repod-report: test: 1 package of web1.example.com reported\n")
        (row,) = hosts(repod, token)
        assert [one["package"] for one in row["builds"]] == [_NEW]
        assert row["builds"][0]["header_sha256"] == dnf.header_digests()[_NEW]
        assert row["previous"] == [_OLD]
        put(repod, "3")
        put(repod, "4")
        # keep = 1: release 3 may go, what the host runs and would go back to may not.
        until(lambda: _NEWEST not in listed(repod), 60, "a prune")
        assert listed(repod) == {_OLD, _NEW, "app-1.0-4.noarch"}
        why = repod.cli("why", "test", _OLD).out
        assert "would be downgraded to on host web1.example.com (reported" in " ".join(why.split())
        assert dnf.run("--refresh", "downgrade", _OLD).rc == 0
        assert report().rc == 0
        assert hosts(repod, token)[0]["previous"] == [_NEW]
    assert repod.cli("hosts forget", "test", "web1.example.com").rc == 0
    repod.cli("prune", "test")
    until(lambda: listed(repod) == {"app-1.0-4.noarch"}, 60, "the rest to be pruned")


@pytest.fixture
def host(tmp_path: Path, token: str, repod: Repod) -> Iterator[Dnf]:
    """A host with one package."""
    package = quick(tmp_path, "tool", files={"/usr/share/tool": b""})
    with Dnf(tmp_path / "root") as dnf:
        done = dnf.rpm("-i", "--nodeps", "--nosignature", str(package))
        assert dnf.installed() == ["tool-1.0-1.noarch"], done.out
        yield dnf


def test_another_build_of_the_same_nevra_is_told_apart_by_its_header(
    repod: Repod, token: str, host: Dnf, tmp_path: Path
) -> None:
    quick(repod.inbox(), "tool", summary="Rebuilt, with the same name")
    until(lambda: repod.cli("why", "test", "tool-1.0-1.noarch").rc == 0, 60, "it to be listed")
    report = Reporter(tmp_path / "conf", repod.url, token, root=str(host.root))
    assert report().rc == 0
    url = f"{repod.url}/api/v1/repositories/test/packages/tool-1.0-1.noarch"
    found = httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=60).json()
    (one,) = found["running"]["hosts"]
    assert one["header_sha256"] == host.header_digests()["tool-1.0-1.noarch"]
    assert one["header_sha256"] != found["builds"][0]["header_sha256"]
    html = {"Accept": "text/html"}
    page = httpx.get(f"{repod.url}/r/test/p/tool-1.0-1.noarch", auth=("any", token), headers=html, timeout=60)
    assert re.search(r"another build of this NEVRA</span> on web1\.example\.com: the header has", page.text), page.text


@pytest.mark.parametrize("shell", [("dash",), ("bash", "--posix")], ids=lambda words: words[0])
def test_any_shell_prints_the_same_json_and_nothing_is_sent_or_remembered(
    host: Dnf, tmp_path: Path, shell: Sequence[str]
) -> None:
    report = Reporter(tmp_path / "conf", "http://127.0.0.1:9", root=str(host.root), shell=shell)
    done = report("--print")
    digest = host.header_digests()["tool-1.0-1.noarch"]
    assert json.loads(done.out) == {
        "packages": [{"nevra": "tool-1.0-1.noarch", "header_sha256": digest}],
        "previous": [],
    }
    assert (tmp_path / "conf/state/runs").read_bytes() == b""


@pytest.mark.parametrize(
    ("change", "words", "rc", "said"),
    [
        ({"url": "http://repod.example.com"}, (), 2, "would carry the token unencrypted; use https://"),
        ({"url": ""}, (), 2, "url: expected https://HOST[:PORT], found: nothing"),
        ({"repositories": ""}, (), 2, "repositories: expected at least one name"),
        ({"repositories": "a/b"}, (), 2, "expected names separated by blanks, found: a/b"),
        ({"host": "a b"}, (), 2, "host: expected letters, digits"),
        ({"tries": "many"}, (), 2, "tries: expected a number, found: many"),
        ({"colour": "blue"}, (), 2, "colour: no such setting"),
        ({"token_file": "/proc/none"}, (), 2, "token_file: /proc/none cannot be read; write what this printed"),
        ({"ca_file": "/proc/none"}, (), 2, "ca_file: /proc/none cannot be read"),
        ({"root": "/proc/none"}, (), 1, "so nothing is reported"),
        ({}, ("--loud",), 2, "--loud: no such option"),
        ({"repositories": "none"}, (), 3, "none: refused (404: there is no repository 'none' here); see url and"),
        ({}, (), 0, "test: 1 package of web1.example.com reported"),
    ],
)
def test_who_is_woken_by_it_reads_what_to_do(
    repod: Repod,
    token: str,
    host: Dnf,
    tmp_path: Path,
    change: dict[str, str],
    words: Sequence[str],
    rc: int,
    said: str,
) -> None:
    report = Reporter(tmp_path / "conf", repod.url, token, root=str(host.root))
    report.settings |= change
    done = report(*words)
    assert (done.rc, said in done.out) == (rc, True), done.out


def test_a_token_that_may_not_is_refused_with_the_remedy_and_is_never_shown(
    repod: Repod, host: Dnf, tmp_path: Path
) -> None:
    reader = repod.cli("token add", "reader").out.strip()
    done = Reporter(tmp_path / "conf", repod.url, reader, root=str(host.root))()
    assert done.rc == 3
    assert "refused (403: token reader may not report test); have a token made: repod token add" in done.out
    unknown = Reporter(tmp_path / "conf", repod.url, "repod_unknown", root=str(host.root))()
    assert (unknown.rc, "refused (401" in unknown.out) == (3, True)


def test_one_repository_that_refuses_keeps_no_other_from_hearing_it(
    repod: Repod, token: str, host: Dnf, tmp_path: Path
) -> None:
    report = Reporter(tmp_path / "conf", repod.url, token, root=str(host.root), repositories="none other")
    done = report()
    assert (done.rc, "other: 1 package of" in done.out) == (3, True)


@contextmanager
def answering(*statuses: int) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A server that answers with these statuses, one after the other; where it is, and what it was sent."""
    left, heard = list(statuses), list[tuple[str, bytes]]()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((self.headers["Authorization"], body))
            self.send_response(left.pop(0))
            self.send_header("Location", "http://elsewhere.invalid/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing: the test reports."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", heard
        finally:
            server.shutdown()
            thread.join()


def test_it_tries_again_where_that_may_help_and_follows_no_redirect_with_the_token(host: Dnf, tmp_path: Path) -> None:
    with answering(503, 429, 200) as (url, heard):
        report = Reporter(tmp_path / "conf", url, "secret", root=str(host.root), tries="3")
        assert report().rc == 0
        assert [token for token, _ in heard] == ["Bearer secret"] * 3
    with answering(503, 500) as (url, heard):
        done = Reporter(tmp_path / "conf", url, "secret", root=str(host.root), tries="2")()
        assert (done.rc, "test: not reported, after 2 tries (500); the next run tries again" in done.out) == (4, True)
    with answering(302) as (url, heard):
        done = Reporter(tmp_path / "conf", url, "secret", root=str(host.root))()
        assert (done.rc, "refused (302)" in done.out) == (3, True)
    done = Reporter(tmp_path / "conf", "http://127.0.0.1:9", "secret", root=str(host.root))()
    assert (done.rc, "test: not reported, after 1 tries (" in done.out) == (4, True)


def test_the_files_for_hosts_are_written_by_a_command(tmp_path: Path) -> None:
    done = command("hosts", "program", tmp_path / "out")
    assert done.rc == 0, done.err
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {f"repod-report{end}" for end in ("", ".conf", ".service", ".timer", ".path")}
    program = tmp_path / "out/repod-report"
    assert program.read_bytes() == _PROGRAM.read_bytes()
    assert subprocess.run([program, "--help"], capture_output=True, check=True).stdout.startswith(b"Usage")
    assert shutil.which("curl")
