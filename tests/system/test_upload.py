"""From ``curl -T`` to ``dnf install``: uploads over HTTP, and what became of them."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.lab.clients import Dnf, createrepo_c_list
from tests.lab.daemon import Repod
from tests.lab.papers import advisory
from tests.lab.rpms import quick
from tests.lab.uploads import TOKENS, Curl, token
from tests.lab.wait import until

WAIT = ("-H", "Prefer: wait=60")


class Bench(NamedTuple):
    """A daemon that takes uploads into ``test`` and ``small`` (1 MiB at the most, no documents)."""

    repod: Repod
    curl: Curl
    secret: str


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Bench]:
    base = tmp_path_factory.mktemp("upload")
    repositories = {"test": {}, "small": {"acceptance": {"max_size": "1MiB", "documents": False}}}
    with Repod(base, key_file, repositories, settings=TOKENS | {"audit": {"file": "audit.jsonl"}}) as repod:
        long_lived.add(repod.pid)
        secret = token(repod)
        yield Bench(repod, Curl(repod, secret), secret)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _nothing_stays(bench: Bench) -> None:
    """What an upload before this one brought is told of as published just before it is taken away."""
    until(lambda: not list(bench.repod.inbox().iterdir()), 30, "the inbox to be empty")


def test_one_line_of_curl_brings_a_package_to_a_host(bench: Bench, tmp_path: Path) -> None:
    file = quick(tmp_path, "hello")
    done = bench.curl.put(file, *WAIT)
    assert done.status == 200, done.text
    ticket = done.body
    assert ticket["state"] == "published"
    assert ticket["packages"] == ["hello-1.0-1.noarch"]
    assert ticket["generation"] >= 2
    assert ticket["sha256"] == _sha256(file)
    assert ticket["trace"] == ticket["sha256"][:32]
    with Dnf(tmp_path / "host", bench.repod.repo_file()) as host:
        installed = host.install("hello")
        assert installed.rc == 0, installed.out
        assert host.installed() == ["hello-1.0-1.noarch"]


def test_without_waiting_the_ticket_says_where_to_ask(bench: Bench, tmp_path: Path) -> None:
    file = quick(tmp_path, "ticket")
    done = bench.curl.put(file, "-i")
    assert done.status == 202, done.text
    url = done.body["url"]
    assert url == f"/api/v1/repositories/test/arrivals/{_sha256(file)}"
    assert f"location: {url}" in done.text.lower()

    def state() -> str:
        return str(bench.curl.run(bench.repod.url + url).body["state"])

    assert state() in {"waiting", "published"}
    until(lambda: state() == "published", 60, "the upload to be live")


def test_what_is_piped_has_no_length_and_arrives_all_the_same(bench: Bench, tmp_path: Path) -> None:
    file = quick(tmp_path, "piped")
    chunked = ("-H", "Transfer-Encoding: chunked", "-H", "Content-Length:")
    done = bench.curl.put(file, *chunked, *WAIT)
    assert done.status == 200, done.text
    assert done.body["packages"] == ["piped-1.0-1.noarch"]


def test_the_time_to_wait_may_stand_in_the_url(bench: Bench, tmp_path: Path) -> None:
    file = quick(tmp_path, "query")
    done = bench.curl.put(file, url=f"{bench.curl.inbox}?wait=60")
    assert (done.status, done.body["file"]) == (200, file.name), done.text
    assert bench.curl.put(file, url=f"{bench.curl.inbox}{file.name}?wait=61").status == 422


def test_the_same_build_uploaded_again_is_published_already(bench: Bench, tmp_path: Path) -> None:
    file = quick(tmp_path, "again")
    first, second = (bench.curl.put(file, *WAIT) for _ in range(2))
    assert (first.status, second.status) == (200, 200)
    assert second.body["packages"] == ["again-1.0-1.noarch"]


def test_c018_who_uploads_another_build_of_a_published_nevra_is_told_so_by_curl_itself(
    bench: Bench, tmp_path: Path
) -> None:
    one = quick(tmp_path, "taken")
    assert bench.curl.put(one, *WAIT).status == 200
    (tmp_path / "other").mkdir()
    other = quick(tmp_path / "other", "taken", files={"/usr/share/taken/x": b"other"})
    done = bench.curl.put(other, "--fail-with-body", *WAIT)
    assert (done.status, done.rc) == (422, 22), done.text
    assert done.body["type"] == "/api/v1/problems/rejected"
    assert done.body["arrival"]["faults"][0]["code"] == "conflict"
    asked = bench.curl.run(f"{bench.curl.api}/arrivals/{_sha256(other)}")
    assert (asked.status, asked.body["state"]) == (200, "rejected")


def test_what_was_cut_off_before_it_was_uploaded_is_rejected_at_once(bench: Bench, tmp_path: Path) -> None:
    file = quick(tmp_path, "cutoff")
    file.write_bytes(file.read_bytes()[:-100])
    done = bench.curl.put(file, *WAIT)
    assert done.status == 422, done.text
    assert done.body["arrival"]["state"] == "rejected"


def test_documents_are_taken_where_the_repository_takes_them(bench: Bench, tmp_path: Path) -> None:
    package = quick(tmp_path, "advised")
    assert bench.curl.put(package, *WAIT).status == 200
    paper = tmp_path / "fix.toml"
    paper.write_bytes(advisory("LAB-2026-1", "advised-1.0-1.noarch"))
    done = bench.curl.put(paper, *WAIT)
    assert (done.status, done.body["state"]) == (200, "published"), done.text
    refused = Curl(bench.repod, bench.secret, "small").put(paper, *WAIT)
    assert (refused.status, refused.body["type"]) == (415, "/api/v1/problems/no-arrival")


def _digests(data: bytes) -> list[str]:
    sha256, sha512 = hashlib.sha256(data), hashlib.sha512(data)
    return [
        f"Content-Digest: sha-256=:{base64.b64encode(sha256.digest()).decode()}:",
        f"Repr-Digest: md5=:AAAA:, sha-512=:{base64.b64encode(sha512.digest()).decode()}:",
        f"X-Checksum-Sha256: {sha256.hexdigest()}",
    ]


def test_checksums_that_are_right_let_it_in(bench: Bench, tmp_path: Path) -> None:
    file = quick(tmp_path, "proven")
    given = [word for line in _digests(file.read_bytes()) for word in ("-H", line)]
    assert bench.curl.put(file, *given, *WAIT).status == 200


@pytest.mark.parametrize("number", range(3))
def test_a_checksum_that_is_wrong_keeps_it_out_and_nothing_stays(bench: Bench, tmp_path: Path, number: int) -> None:
    file = quick(tmp_path, f"mismatch{number}")
    done = bench.curl.put(file, "-H", _digests(b"other bytes")[number], *WAIT)
    assert (done.status, done.body["type"]) == (422, "/api/v1/problems/mismatch"), done.text
    assert bench.curl.run(f"{bench.curl.api}/arrivals/{_sha256(file)}").status == 404
    _nothing_stays(bench)


@pytest.mark.parametrize("header", ["Content-Digest: sha-256=abc", "Repr-Digest: sha-256=:!:", "X-Checksum-Sha256: 12"])
def test_a_checksum_that_is_none_is_refused(bench: Bench, tmp_path: Path, header: str) -> None:
    done = bench.curl.put(quick(tmp_path, "unread"), "-H", header)
    assert (done.status, done.body["type"]) == (400, "/api/v1/problems/malformed"), done.text


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("a%2Fb.rpm", 400),
        ("sub/a.rpm", 400),
        ("..%2f..%2fa.rpm", 400),
        ("%2e%2e", 400),
        ("a%00.rpm", 400),
        ("a%0a.rpm", 400),
        ("a%ff.rpm", 400),
        ("a%5Cb.rpm", 400),
        (".hidden.rpm", 400),
        ("x" * 250 + ".rpm", 400),
        ("a.txt", 415),
        ("a.rpm.part", 415),
        ("a.rpm.reason.json", 415),
        ("a.exe", 415),
    ],
)
def test_a_name_that_is_none_of_an_arrival_is_refused(bench: Bench, tmp_path: Path, name: str, status: int) -> None:
    done = bench.curl.put(quick(tmp_path, "named"), "--path-as-is", url=f"{bench.curl.inbox}{name}")
    assert done.status == status, done.text
    _nothing_stays(bench)


def test_an_upload_without_a_name_is_told_that_it_has_none(bench: Bench, tmp_path: Path) -> None:
    file = quick(tmp_path, "nameless")
    done = bench.curl.run("-X", "PUT", "--data-binary", f"@{file}", bench.curl.inbox)
    assert done.status == 400
    assert "the name of the file: it is empty" in done.body["detail"]


def test_signs_that_urls_have_a_meaning_for_are_kept(bench: Bench, tmp_path: Path) -> None:
    file = quick(tmp_path, "lib++", "1.0~rc1^git2")
    done = bench.curl.put(file, *WAIT)
    assert (done.status, done.body["file"]) == (200, "lib++-1.0~rc1^git2-1.noarch.rpm"), done.text


def test_who_may_not_upload_is_refused(bench: Bench, tmp_path: Path) -> None:
    file = quick(tmp_path, "foreign")
    reader = token(bench.repod, "--may", "read", name="reader")
    elsewhere = token(bench.repod, "--may", "upload", "--repository", "small", name="elsewhere")
    found = [Curl(bench.repod, secret).put(file).status for secret in ("", "wrong", reader, elsewhere)]
    assert found == [401, 401, 403, 403]
    assert Curl(bench.repod, bench.secret, "none").put(file).status == 404
    _nothing_stays(bench)


def test_many_uploads_of_one_name_at_once_are_all_answered_for(bench: Bench, tmp_path: Path) -> None:
    files = []
    for number in range(8):
        (tmp_path / str(number)).mkdir()
        files.append(quick(tmp_path / str(number), f"many{number}").rename(tmp_path / str(number) / "same.rpm"))
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda file: bench.curl.put(file, *WAIT), files))
    assert [one.status for one in done] == [200] * 8, [one.text for one in done]
    assert {one.body["packages"][0] for one in done} == {f"many{number}-1.0-1.noarch" for number in range(8)}
    listed = {package.name for package in createrepo_c_list(bench.repod.store())}
    assert {f"many{number}" for number in range(8)} <= listed


def test_the_audit_log_says_who_uploaded_what(bench: Bench, tmp_path: Path) -> None:
    file = quick(tmp_path, "audited")
    assert bench.curl.put(file, *WAIT).status == 200
    done = bench.repod.cli("audit list", "--json")
    (found,) = (one for one in json.loads(done.out) if one["details"].get("file") == file.name)
    assert (found["what"], found["repository"], found["outcome"]) == ("upload", "test", "done")
    assert found["details"]["sha256"] == _sha256(file)
    assert found["actor"] == "token ci"
    assert bench.repod.cli("audit verify").rc == 0


def test_what_was_never_uploaded_is_not_known(bench: Bench) -> None:
    assert bench.curl.run(f"{bench.curl.api}/arrivals/{'0' * 64}").status == 404
    assert bench.curl.run(f"{bench.curl.api}/arrivals/{'x' * 64}").status == 422


def test_what_waits_in_the_inbox_is_listed_with_the_reason(bench: Bench) -> None:
    half = quick(bench.repod.base, "half").read_bytes()[:2000]
    place = bench.repod.inbox("small") / "half.rpm"
    stop = threading.Event()

    def write() -> None:
        with place.open("wb") as file:
            file.write(half)
            file.flush()
            stop.wait(60)
        place.unlink()

    writer = threading.Thread(target=write)
    writer.start()
    curl = Curl(bench.repod, bench.secret, "small")

    def waiting() -> list[str]:
        text = curl.run(f"{curl.api}/arrivals").text
        return [text] if "open for writing" in text else []

    try:
        (text,) = until(waiting, 30, "the arrival to be seen")
    finally:
        stop.set()
        writer.join()
    assert '"file": "half.rpm"' in text


def test_the_audit_log_says_which_uploads_were_refused_and_why(bench: Bench, tmp_path: Path) -> None:
    file = quick(tmp_path, "unwanted").rename(tmp_path / "unwanted.txt")
    assert bench.curl.put(file).status == 415
    done = bench.repod.cli("audit list", "--json")
    (found,) = (one for one in json.loads(done.out) if one["details"].get("file") == file.name)
    assert (found["what"], found["actor"]) == ("upload", "token ci")
    assert found["outcome"].startswith("refused: unwanted.txt: ")
