"""``repoctl push`` as people and CI jobs use it: a real daemon, real buckets, a terminal, interrupts."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.lab.daemon import Ended, Repod
from tests.lab.faultproxy import FaultProxy
from tests.lab.keys import Key
from tests.lab.repoctl import Repoctl
from tests.lab.rpms import quick
from tests.lab.s3faults import Rule
from tests.lab.seaweed import REGION, Seaweed
from tests.lab.uploads import TOKENS, token
from tests.lab.wait import until

_NOBODY = "http://127.0.0.1:9"
_COMPS = "<comps><group><id>tools</id><name>Tools</name></group></comps>"


@pytest.fixture(scope="module")
def repod(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Repod]:
    """One daemon for all: each test pushes packages of its own names."""
    with Repod(tmp_path_factory.mktemp("repod"), key_file, settings=TOKENS) as daemon:
        long_lived.add(daemon.pid)
        yield daemon


@pytest.fixture(scope="module")
def secret(repod: Repod) -> str:
    return token(repod)


@pytest.fixture
def repoctl(repod: Repod, secret: str, tmp_path: Path) -> Repoctl:
    return Repoctl(tmp_path / "home", repod.url, secret)


def states(ended: Ended) -> Mapping[str, str]:
    """The state of each file, by its name, of an answer in JSON."""
    return {Path(file["file"]).name: file["state"] for file in json.loads(ended.out)["files"]}


def test_several_files_take_a_plain_line_each_where_there_is_no_terminal(repoctl: Repoctl, tmp_path: Path) -> None:
    files = [quick(tmp_path, f"many{number}") for number in range(6)]
    done = repoctl.run("push", "test", *files, "--wait")
    assert (done.rc, done.err) == (0, "")
    lines = done.out.splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == sorted(map(str, files))
    assert all(": published, generation " in line for line in lines), done.out
    assert all(line.isprintable() for line in lines)


def test_a_terminal_shows_bars_and_what_came_of_each_file(repoctl: Repoctl, tmp_path: Path) -> None:
    status, drawn = repoctl.on_terminal("push", "test", quick(tmp_path, "drawn"), "--wait")
    assert status == 0, drawn
    assert "━" in drawn
    assert "waiting until a fresh client sees it" in drawn
    assert "published, generation" in drawn


def test_one_document_tells_all_of_each_file(repoctl: Repoctl, tmp_path: Path) -> None:
    done = repoctl.run("push", "test", quick(tmp_path, "told"), "--wait", "--json")
    answer = json.loads(done.out)
    assert (done.rc, done.err, answer["code"], answer["repository"]) == (0, "", 0, "test")
    (file,) = answer["files"]
    assert (file["state"], file["package"], file["packages"]) == (
        "published",
        "told-1.0-1.noarch",
        ["told-1.0-1.noarch"],
    )
    assert file["trace"] == file["sha256"][:32]
    assert file["generation"] >= 1


def test_a_damaged_file_keeps_the_others_back_unless_each_stands_for_itself(repoctl: Repoctl, tmp_path: Path) -> None:
    whole = quick(tmp_path, "whole")
    cut = tmp_path / "cut.rpm"
    cut.write_bytes(whole.read_bytes()[:-100])
    altered = tmp_path / "altered.rpm"
    altered.write_bytes(whole.read_bytes()[:-100] + bytes(100))
    together = repoctl.run("push", "test", cut, altered, whole, "--json")
    assert together.rc == 1
    assert states(together) == {"cut.rpm": "failed", "altered.rpm": "failed", whole.name: "unsent"}
    texts = [file["text"] for file in json.loads(together.out)["files"]]
    assert "truncated: its header promises" in texts[0]
    assert "payloadsha256 does not match" in texts[1]
    each = repoctl.run("push", "test", cut, altered, whole, "--each", "--wait", "--json")
    assert each.rc == 1
    assert states(each) == {"cut.rpm": "failed", "altered.rpm": "failed", whole.name: "published"}


def test_what_is_no_file_of_a_repository_is_wrong_use(repoctl: Repoctl, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    done = repoctl.run("push", "test", tmp_path / "notes.txt", tmp_path / "gone.rpm", tmp_path)
    assert (done.rc, done.out) == (2, "")
    assert "its name says that it is neither package nor document; expected NAME.rpm" in done.err
    assert "there is no such file" in done.err


def test_what_is_no_plain_file_is_told_and_not_waited_for(repoctl: Repoctl, tmp_path: Path) -> None:
    """A pipe that nobody writes to kept the push waiting for ever."""
    pipe, folder = tmp_path / "pipe.rpm", tmp_path / "folder.rpm"
    os.mkfifo(pipe)
    folder.mkdir()
    done = repoctl.run("push", "test", pipe, folder)
    assert (done.rc, done.out) == (2, "")
    assert "pipe.rpm: failed: it cannot be read (it is no plain file)" in done.err
    assert "folder.rpm: failed: it cannot be read" in done.err


def test_the_same_bytes_again_are_a_success(repoctl: Repoctl, repod: Repod, tmp_path: Path) -> None:
    package = quick(tmp_path, "twice")
    assert repoctl.run("push", "test", package, "--wait").rc == 0
    before = (repod.store() / "repodata/repomd.xml").read_bytes()
    for words in ((), ("--wait",)):
        again = repoctl.run("push", "test", package, *words, "--json")
        assert (again.rc, states(again)) == (0, {package.name: "already"})
    assert (repod.store() / "repodata/repomd.xml").read_bytes() == before


@pytest.mark.parametrize("pinned", [True, False])
def test_a_push_goes_by_the_pinned_keys_alone(
    pinned: bool, repod: Repod, repoctl: Repoctl, key: Key, tmp_path: Path
) -> None:
    fingerprint = key.fingerprint if pinned else "A" * 40
    repoctl.settle(repository={"test": {"keys": [fingerprint]}})
    # For the one that is never believed in, long enough that the daemon has published it.
    patience = "--wait=60" if pinned else "--wait=10"
    done = repoctl.run("push", "test", quick(tmp_path, f"pinned{int(pinned)}"), patience)
    if pinned:
        assert done.rc == 0, done
    else:
        assert done.rc == 4, done
        assert "its signature is by none of the keys of the settings" in done.err


def test_an_inbox_in_a_directory_does_without_the_api(repod: Repod, tmp_path: Path) -> None:
    repoctl = Repoctl(tmp_path / "home", _NOBODY)
    repoctl.settle(repository={"test": {"inbox": str(repod.inbox()), "url": repod.repo_url()}})
    (tmp_path / "comps.xml").write_text(_COMPS)
    done = repoctl.run("push", "test", quick(tmp_path, "copied"), tmp_path / "comps.xml", "--wait=60", "--json")
    assert (done.rc, set(states(done).values())) == (0, {"published"}), done
    assert b"comps" in (repod.store() / "repodata/repomd.xml").read_bytes()
    refused = repoctl.run("push", "test", quick(tmp_path, "foreign", arch="ppc64le"), "--wait=60")
    assert refused.rc == 3
    assert "arch ppc64le; expected one of" in refused.err
    (tmp_path / "other").mkdir()
    changed = quick(tmp_path / "other", "copied", files={"/usr/share/other": b"other"})
    assert "is listed with other bytes" in repoctl.run("push", "test", changed).err
    repoctl.settle(repository={"test": {"inbox": str(repod.inbox())}})
    blind = repoctl.run("push", "test", quick(tmp_path, "blind"), "--wait")
    assert blind.rc == 2
    assert "set [repository.test] url" in blind.err


def test_a_private_repository_is_seen_with_the_token(key_file: Path, tmp_path: Path) -> None:
    (tmp_path / "repod").mkdir()
    settings = {"http": {"access": "readers", "tokens": "tokens.json"}}
    with Repod(tmp_path / "repod", key_file, settings=settings) as private:
        both = token(private, "--may", "upload", "--may", "read")
        done = Repoctl(tmp_path / "home", private.url, both).run("push", "test", quick(tmp_path, "secret"), "--wait=60")
        assert (done.rc, done.err) == (0, ""), done
        alone = Repoctl(tmp_path / "home", private.url, token(private, name="alone"))
        blind = alone.run("push", "test", quick(tmp_path, "blind"), "--wait=60")
        assert blind.rc == 2, blind
        assert "set [repository.test] url" in blind.err
        assert alone.run("push", "test", quick(tmp_path, "blind2")).rc == 0


@pytest.fixture
def bucketed(tmp_path: Path, key_file: Path, s3: Seaweed) -> Iterator[tuple[Repod, Repoctl, str]]:
    """A repository whose inbox and store lie in a bucket, pushed to and read there, without a word to the daemon."""
    bucket = s3.bucket()
    places = {"inbox": f"s3://{bucket}/in/", "store": f"s3://{bucket}/www/"}
    settings: dict[str, Any] = {"s3": {"endpoint": s3.endpoint, "region": REGION, "addressing": "path"}}
    base = tmp_path / "repod"
    base.mkdir()
    repoctl = Repoctl(tmp_path / "home", _NOBODY, **s3.environ)
    repoctl.settle(
        s3={"region": REGION, "addressing": "path"},
        repository={"test": {"inbox": places["inbox"], "url": places["store"]}},
    )
    with Repod(base, key_file, {"test": places}, settings=settings, s3=s3) as repod:
        yield repod, repoctl, bucket


def test_a_bucket_is_pushed_to_and_read_as_hosts_do(
    bucketed: tuple[Repod, Repoctl, str], s3: Seaweed, tmp_path: Path
) -> None:
    _, repoctl, bucket = bucketed
    big = quick(tmp_path, "big", files={"/usr/share/big": bytes(20 << 20)}, compression="none")
    done = repoctl.run("push", "test", quick(tmp_path, "small"), big, "--wait=60", "--json")
    assert (done.rc, set(states(done).values())) == (0, {"published"}), done
    refused = repoctl.run("push", "test", quick(tmp_path, "foreign", arch="ppc64le"), "--wait=60")
    assert (refused.rc, "arch ppc64le" in refused.err) == (3, True), refused
    _stopped(repoctl, s3, bucket, tmp_path)


def _stopped(repoctl: Repoctl, s3: Seaweed, bucket: str, folder: Path) -> None:
    """A job that is ended while the parts of a large file are under way leaves neither object nor upload."""
    huge = quick(folder, "huge", files={"/usr/share/huge": bytes(40 << 20)}, compression="none")
    client = s3.client()
    with FaultProxy(s3) as proxy:
        proxy.rules = [Rule(does="hold", on=("UploadPart",))]
        with repoctl.started("push", "test", huge, AWS_ENDPOINT_URL_S3=proxy.endpoint("push")) as process:
            until(lambda: proxy.held("push"), 60, "the first part to be under way")
            process.send_signal(signal.SIGTERM)
            proxy.rules = []
            # Parts that were just being held when that was said are let go of at the next look.
            until(lambda: (proxy.release("push"), process.poll())[1] is not None, 60, "the push to end")
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, ""), err
    assert err == f"{huge}: unsent: stopped; it was not sent\n"
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")
    assert not client.list_objects_v2(Bucket=bucket, Prefix="in/huge").get("Contents")
