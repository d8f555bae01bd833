"""Back and forth with real hosts: a repository rolled back, builds removed, and what is told of them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.lab.checker import assert_sound
from tests.lab.clients import Dnf
from tests.lab.daemon import Repod
from tests.lab.keys import Key
from tests.lab.papers import advisory, comps, stream
from tests.lab.rpms import quick
from tests.lab.wait import until

RELEASES = ("1", "2", "3", "4", "5")


@pytest.fixture
def repod(tmp_path: Path, key_file: Path) -> Iterator[Repod]:
    """Hosts read the directory: the daemon's port is not known to the commands beside it."""
    with Repod(tmp_path, key_file, {"test": {"url": f"file://{tmp_path}/www/test/"}, "prod": {}}) as daemon:
        yield daemon


def publish(repod: Repod, name: str, files: Mapping[str, bytes]) -> int:
    """Files appear in an inbox at once; the generation that holds them."""
    before = generation(repod, name)
    for file, data in files.items():
        aside = repod.base / "aside"
        aside.write_bytes(data)
        aside.rename(repod.inbox(name) / file)
    until(lambda: not any(repod.inbox(name).iterdir()), 30, "the inbox to be empty")
    until(lambda: generation(repod, name) > before, 30, "the next generation")
    return generation(repod, name)


def generation(repod: Repod, name: str = "test") -> int:
    pointer = repod.store(name) / ".repod/head.json"
    return int(json.loads(pointer.read_bytes())["generation"]) if pointer.exists() else 0


def build(folder: Path, release: str, **more: Any) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    path = quick(folder, "hello", "1.0", release, **more)
    return {path.name: path.read_bytes()}


def hello(release: str) -> str:
    return f"hello-1.0-{release}.noarch"


def answer(repod: Repod, command: str, *words: str) -> Any:
    done = repod.cli(command, *words, "--json")
    assert done.rc == 0, done
    return json.loads(done.out)


def documents(repod: Repod) -> dict[str, str]:
    """The checksums of the plain documents of the current generation."""
    path = repod.store() / f".repod/generations/{generation(repod)}.json"
    return {document["type"]: document["open_checksum"] for document in json.loads(path.read_bytes())["documents"]}


def assert_verified(repod: Repod) -> None:
    done = repod.cli("verify", "test")
    assert done.out == "sound: everything it lists is there, unaltered and signed\n"


def test_hosts_follow_a_rollback_down_and_up_again(repod: Repod, tmp_path: Path, key: Key) -> None:
    numbers = {release: publish(repod, "test", build(tmp_path / "built", release)) for release in RELEASES}
    with Dnf(tmp_path / "host", repod.repo_file()) as host:
        done = host.install("hello")
        assert (done.rc, host.installed()) == (0, [hello("5")]), done.out
        for release in ("2", "4", "1", "5"):
            done = repod.cli("rollback", "test", "--to", str(numbers[release]), "--why", "trial")
            assert done.rc == 0, done
            assert done.out.endswith("hosts follow it, down and up, with: dnf --refresh distro-sync\n")
            assert len(assert_sound(repod.store(), key.public)) == int(release)
            assert_verified(repod)
            done = host.run("--refresh", "distro-sync")
            assert (done.rc, host.installed()) == (0, [hello(release)]), done.out
    new = publish(repod, "test", build(tmp_path / "built", "6"))
    assert new == generation(repod)
    assert len(assert_sound(repod.store(), key.public)) == 6
    assert not repod.find_events("turn failed, tried again")


def test_the_last_change_is_undone_once_and_what_it_would_be_is_told_first(repod: Repod, tmp_path: Path) -> None:
    for release in ("1", "2"):
        publish(repod, "test", build(tmp_path / "built", release))
    done = repod.cli("rollback", "test", "--dry-run")
    assert done.out == (
        "change      before              after\n"
        "downgraded  hello-1.0-2.noarch  hello-1.0-1.noarch\n"
        "would publish what generation 2 of test listed\n"
    )
    assert generation(repod) == 3
    (row,) = answer(repod, "rollback", "test")
    assert (row["to"], row["generation"]) == (2, 4)
    assert row["downgraded"] == [{"before": hello("2"), "after": hello("1")}]
    again = repod.cli("rollback", "test")
    assert (again.rc, generation(repod)) == (3, 4)
    assert "it went back or forth already" in again.err
    same = repod.cli("rollback", "test", "--to", "2")
    assert (same.rc, same.out) == (0, "generation 4 of test lists what generation 2 did: nothing to do\n")


def test_groups_streams_and_advisories_are_again_what_they_were(repod: Repod, tmp_path: Path) -> None:
    built = tmp_path / "built"
    publish(repod, "test", build(built, "1") | build(built, "2"))
    papers = {
        "x-comps.xml": comps("hello"),
        "x.modules.yaml": stream("1", "hello-0:1.0-2.noarch"),
        "LAB-1.toml": advisory("LAB-1", hello("2")),
    }
    number = publish(repod, "test", papers)
    then = documents(repod)
    assert repod.cli("remove", "test", hello("2")).rc == 0
    assert repod.cli("comps remove", "test").rc == 0
    publish(repod, "test", build(built, "3") | {"LAB-2.toml": advisory("LAB-2", hello("3"))})
    assert documents(repod).keys() == {"primary", "filelists", "other", "updateinfo"}
    (change,) = answer(repod, "diff", "test", str(number))
    assert (change["advisories"]["came"], change["advisories"]["went"]) == (["LAB-2"], ["LAB-1"])
    assert change["documents"] == {"came": [], "went": ["group", "modules"], "changed": ["updateinfo"]}
    assert repod.cli("rollback", "test", "--to", str(number)).rc == 0
    assert documents(repod) == then
    assert_verified(repod)
    assert answer(repod, "diff", "test", str(number))[0]["documents"] == {"came": [], "went": [], "changed": []}
    with Dnf(tmp_path / "host", repod.repo_file()) as host:
        done = host.run("--refresh", "module", "list")
        assert ["hi", "1"] in [line.split()[:2] for line in done.out.splitlines()]
        assert host.install(hello("1")).rc == 0
        assert "LAB-1 Important/Sec. hello-1.0-2.noarch" in host.run("updateinfo", "list", "--security").out
        assert "Web" in host.run("group", "list", "--hidden").out


def test_the_newest_build_is_removed_and_hosts_go_down_as_the_warning_says(repod: Repod, tmp_path: Path) -> None:
    for release in ("1", "2"):
        publish(repod, "test", build(tmp_path / "built", release))
    with Dnf(tmp_path / "host", repod.repo_file()) as host:
        assert host.install("hello").rc == 0
        done = repod.cli("remove", "test", hello("2"), "--why", "broken")
        assert done.rc == 0, done
        assert "hello-1.0-2.noarch was the newest build, the next is hello-1.0-1.noarch" in done.err
        up = host.upgrade()
        assert (up.rc, host.installed()) == (0, [hello("2")]), up.out
        command = done.err.strip().partition("on each: dnf ")[2].split()
        went = host.run(*command)
        assert (went.rc, host.installed()) == (0, [hello("1")]), went.out
    assert_verified(repod)
    assert (repod.store() / f"Packages/h/{hello('2')}.rpm").exists()


def test_what_prune_took_is_named_and_nothing_is_published(repod: Repod, tmp_path: Path) -> None:
    for release in ("1", "2"):
        publish(repod, "test", build(tmp_path / "built", release))
    assert repod.cli("remove", "test", "*").rc == 0
    here = repod.store() / "Packages/h"
    (here / f"{hello('1')}.rpm").unlink()
    size = (here / f"{hello('2')}.rpm").stat().st_size
    with (here / f"{hello('2')}.rpm").open("ab") as file:
        file.write(b"more")
    before = generation(repod)
    for words in (["--dry-run"], []):
        done = repod.cli("rollback", "test", "--to", "3", *words)
        assert done.rc == 3
        assert done.err.splitlines()[1:] == [
            f"repod: Packages/h/{hello('1')}.rpm: {hello('1')} is not there any more",
            f"repod: Packages/h/{hello('2')}.rpm: {hello('2')}: expected {size} bytes, found {size + 4}",
        ]
    assert generation(repod) == before
    repod.unsound.add("test")


def test_a_file_that_was_altered_in_place_never_comes_back(repod: Repod, tmp_path: Path) -> None:
    for release in ("1", "2"):
        publish(repod, "test", build(tmp_path / "built", release))
    assert repod.cli("remove", "test", hello("2")).rc == 0
    path = repod.store() / f"Packages/h/{hello('2')}.rpm"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    done = repod.cli("rollback", "test", "--to", "3")
    assert (done.rc, generation(repod)) == (3, 4)
    assert f"{hello('2')} is altered" in done.err
    repod.unsound.add("test")


def test_labels_and_pins_are_set_told_and_taken_off_without_a_key(repod: Repod, tmp_path: Path, key_file: Path) -> None:
    for release in ("1", "2"):
        publish(repod, "test", build(tmp_path / "built", release))
    repod.stop()
    secret = key_file.read_bytes()
    repod.config.write_text(repod.config.read_text().replace(str(key_file), str(tmp_path / "no-key")))
    assert repod.cli("label", "test", hello("1"), "tested", "--why", "run 17").rc == 0
    assert [row["package"] for row in answer(repod, "pin", "test", "hello-*")] == [hello("1"), hello("2")]
    (told,) = answer(repod, "why", "test", hello("1"))
    assert told["labels"]["tested"]["why"] == "run 17"
    assert told["pin"]["actor"]
    assert answer(repod, "unlabel", "test", hello("1"), "tested")[0]["result"] == "tested taken off"
    assert answer(repod, "unpin", "test", hello("2"))[0]["result"] == "unpinned"
    assert answer(repod, "unpin", "test", hello("2"))[0]["result"] == "was not pinned"
    assert repod.cli("label", "test", hello("1"), "-x/y").rc == 2
    assert repod.cli("pin", "test", "nope-*").rc == 1
    repod.config.write_text(repod.config.read_text().replace(str(tmp_path / "no-key"), str(key_file)))
    refused = repod.cli("remove", "test", "hello-*")
    assert refused.rc == 3
    assert f"first: repod unpin test {hello('1')}" in refused.err
    assert secret == key_file.read_bytes()


def test_why_knows_where_a_build_came_from_who_signed_it_and_where_it_is(
    repod: Repod, tmp_path: Path, key: Key
) -> None:
    built = tmp_path / "built"
    publish(repod, "test", build(built, "1"))
    publish(repod, "test", {"LAB-1.toml": advisory("LAB-1", hello("1"))})
    publish(repod, "prod", build(built, "1"))
    assert repod.cli("remove", "test", hello("1"), "--why", "broken").rc == 0
    assert repod.cli("rollback", "test", "--to", "3").rc == 0
    (row,) = answer(repod, "why", "test", hello("1"))
    assert (row["listed"], row["generations"]) == (True, [[5, 5], [2, 3]])
    assert row["since"]["why"] == "rolled back to generation 3"
    (came,) = row["came"]
    assert (came["repository"], came["generation"], came["actor"]) == ("test", 2, "inbox")
    assert (came["how"], came["of"]) == ("arrival", f"{hello('1')}.rpm")
    assert [one["key"] for one in row["signed"]] == [key.fingerprint]
    assert row["elsewhere"] == {"prod": "the same build, signed otherwise"}
    assert row["advisories"] == ["LAB-1"]
    assert row["retention"]["kept"]
    (other,) = answer(repod, "why", "prod", hello("1"))
    assert other["elsewhere"] == {"test": "the same build, signed otherwise"}
    gone = repod.cli("why", "test", hello("9"))
    assert (gone.rc, gone.err) == (
        1,
        f"repod: nothing is known of '{hello('9')}' in test; of that name there are: {hello('1')}\n",
    )


def test_why_tells_what_retention_will_do(repod: Repod, tmp_path: Path) -> None:
    for release in ("1", "2"):
        publish(repod, "test", build(tmp_path / "built", release))
    repod.stop()
    repod.declare("test", retention={"keep": 1})
    repod.write_config()
    for release, line in (
        ("2", "  retention:   kept: newest of hello.noarch: keep = 1"),
        ("1", "  retention:   goes: 2nd newest of hello.noarch: keep = 1"),
    ):
        assert repod.cli("why", "test", hello(release)).out.splitlines()[-1] == line
    assert repod.cli("pin", "test", hello("1"), "--why", "audit").rc == 0
    (row,) = answer(repod, "why", "test", hello("1"))
    assert row["retention"]["kept"]
    assert row["retention"]["why"][0].endswith(": audit")


def test_history_says_who_uploaded_what_and_follows_one_name(repod: Repod, tmp_path: Path) -> None:
    built = tmp_path / "built"
    publish(repod, "test", build(built, "1"))
    quick(built, "other")
    publish(repod, "test", {"up.rpm": (built / "other-1.0-1.noarch.rpm").read_bytes()})
    assert repod.cli("remove", "test", hello("1"), "--why", "broken").rc == 0
    rows = answer(repod, "history", "test")
    assert rows[1]["from"][0]["of"] == "up.rpm"
    assert (rows[0]["why"], rows[0]["removed"]) == (f"{hello('1')} removed: broken", [hello("1")])
    assert [row["generation"] for row in answer(repod, "history", "test", "--package", "hello")] == [4, 2]
    assert repod.cli("history", "test", "--package", "nope").out == "nothing is known of nope\n"
