"""Groups, module streams and advisories that are dropped beside packages: what hosts see, and what is refused."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.lab.checker import assert_sound
from tests.lab.clients import Dnf, choosing
from tests.lab.daemon import Repod
from tests.lab.keys import Key
from tests.lab.papers import advisory, comps, stream
from tests.lab.rpms import quick
from tests.lab.wait import until

DOCUMENTS = {
    "LAB-1.toml": advisory("LAB-1", "hello-2-1.noarch", title="hello: a fix"),
    "el9-comps.xml": comps("other"),
    "hi-1.modules.yaml": stream("1", "tool-0:1-1.noarch"),
    "hi-2.modules.yaml": stream("2", "tool-0:2-1.noarch"),
}
BROKEN = {
    "comps.xml": b"<comps><group>",
    "x.modules.yaml": b"--- {document: modulemd",
    "updateinfo.xml": b'<!DOCTYPE x [<!ENTITY a "b">]><updates><update><id>&a;</id></update></updates>',
    "x.toml": b"id = ",
    "x.json": b"{}",
}


@pytest.fixture
def repod(tmp_path: Path, key_file: Path) -> Iterator[Repod]:
    with Repod(tmp_path, key_file) as daemon:
        yield daemon


def drop(repod: Repod, files: Mapping[str, bytes], end: str = "document published") -> None:
    """Files appear in the inbox, whole at once; wait until they came to that end."""
    for name, data in files.items():
        aside = repod.base / "aside"
        aside.write_bytes(data)
        aside.rename(repod.inbox() / name)
    for name in files:
        until(lambda name=name: repod.find_events(end, file=name), 30, f"{name}: {end}")


def shop(repod: Repod, built: Path) -> None:
    """hello 1 and 2, other, and tool 1 and 2, with their documents, all dropped into the inbox."""
    built.mkdir()
    builds = [("hello", "1"), ("hello", "2"), ("other", "1"), ("tool", "1"), ("tool", "2")]
    for name, version in builds:
        quick(built, name, version).rename(repod.inbox() / f"{name}-{version}.rpm")
    drop(repod, DOCUMENTS)
    for name, version in builds:
        until(lambda n=f"{name}-{version}.rpm": repod.find_events("package published", file=n), 30, f"{name} {version}")


@pytest.mark.parametrize("form", ["baseurl", "metalink"], ids=["live", "frozen"])
def test_dnf_sees_fixes_groups_and_streams_that_were_dropped_beside_their_packages(
    form: str, repod: Repod, tmp_path: Path, key: Key
) -> None:
    shop(repod, tmp_path / "built")
    assert len(assert_sound(repod.store(), key.public)) == 5
    with Dnf(tmp_path / "host", choosing(repod.repo_file(), form)) as host:
        done = host.install("hello-1")
        assert (done.rc, host.installed()) == (0, ["hello-1-1.noarch"]), done.out
        assert "LAB-1 Important/Sec. hello-2-1.noarch" in host.run("updateinfo", "list", "--security").out
        done = host.run("upgrade", "--advisory=LAB-1")
        assert (done.rc, host.installed()) == (0, ["hello-2-1.noarch"]), done.out
        done = host.run("group", "install", "web")
        assert (done.rc, host.installed()) == (0, ["hello-2-1.noarch", "other-1-1.noarch"]), done.out
        streams = [line.split()[:2] for line in host.run("module", "list").out.splitlines() if line.startswith("hi ")]
        assert streams == [["hi", "1"], ["hi", "2"]]
        done = host.run("module", "install", "hi:1/default")
        assert (done.rc, host.installed()[-1]) == (0, "tool-1-1.noarch"), done.out


def test_what_cannot_be_read_is_rejected_with_its_reason_and_what_stood_there_stays(
    repod: Repod, tmp_path: Path, key: Key
) -> None:
    shop(repod, tmp_path / "built")
    before = (repod.store() / "repodata/repomd.xml").read_bytes()
    drop(repod, BROKEN, "document rejected")
    for name, data in BROKEN.items():
        (fault, *_) = json.loads((repod.rejected() / f"{name}.reason.json").read_bytes())["faults"]
        assert fault["code"] == "document"
        assert fault["text"].startswith(f"{name}: ")
        assert (repod.rejected() / name).read_bytes() == data
    assert (repod.store() / "repodata/repomd.xml").read_bytes() == before
    page = repod.get("/metrics")[1].decode()
    assert f'repod_rejected_total{{reason="document",repository="test"}} {len(BROKEN)}.0' in page
    assert list(repod.inbox().iterdir()) == []
    assert len(assert_sound(repod.store(), key.public)) == 5


def test_a_bomb_costs_itself_only(repod: Repod, tmp_path: Path) -> None:
    bombs = {
        "comps.xml.gz": gzip.compress(bytes(300 << 20), 1),
        "deep.modules.yaml": b"--- " + b"[" * 200_000,
        "deep.json": b"[" * 200_000,
        "deep-comps.xml": b"<comps>" + b"<a>" * 200_000,
    }
    drop(repod, bombs, "document rejected")
    (told,) = repod.find_events("document rejected", file="comps.xml.gz")
    assert "expected at most" in told["faults"][0]
    quick(tmp_path).rename(repod.inbox() / "hello.rpm")
    until(lambda: repod.find_events("package published"), 20, "a package after the bombs")
    assert not repod.find_events("turn failed, tried again")


# ---------------------------------------------------------------- commands


@pytest.fixture
def quiet(tmp_path: Path, key_file: Path) -> Repod:
    """A repository without a daemon: hello 1 and 2, and two builds of tool in streams of their own."""
    repod = Repod(tmp_path, key_file, settings={"inbox": {"settle": 0}})
    for name, version in (("hello", "1"), ("hello", "2"), ("tool", "1"), ("tool", "2")):
        quick(repod.inbox(), name, version)
    for name in ("hi-1.modules.yaml", "hi-2.modules.yaml"):
        (repod.inbox() / name).write_bytes(DOCUMENTS[name])
    assert repod.once().rc == 0
    return repod


def write(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """The files, written."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def table(repod: Repod, command: str, *words: str | Path) -> list[dict[str, object]]:
    """The answer of a command that must end well, as a machine reads it."""
    told = repod.cli(command, "--json", *words)
    assert told.rc == 0, told.err
    rows: list[dict[str, object]] = json.loads(told.out)
    return rows


def test_advisories_are_added_listed_and_removed_by_hand(quiet: Repod, tmp_path: Path, key: Key) -> None:
    assert quiet.cli("advisory list", "test").out == "no advisories\n"
    files = write(tmp_path, {key: advisory(key, "hello-2-1.noarch") for key in ("LAB-1", "LAB-2")})
    one, two = (file.rename(file.with_suffix(".toml")) for file in files)
    assert table(quiet, "advisory add", "test", one, two) == [
        {"document": "advisory LAB-1", "result": "added", "generation": 3},
        {"document": "advisory LAB-2", "result": "added", "generation": 3},
    ]
    listed = table(quiet, "advisory list", "test")
    assert [(row["id"], row["severity"], row["packages"]) for row in listed] == [
        ("LAB-1", "Important", 1),
        ("LAB-2", "Important", 1),
    ]
    again = quiet.cli("advisory add", "test", one)
    assert (again.rc, "no change" in again.out) == (0, True)
    removed = quiet.cli("advisory remove", "test", "LAB-1")
    assert (removed.rc, removed.out.split()[-4:]) == (0, ["advisory", "LAB-1", "removed", "4"])
    assert [row["id"] for row in table(quiet, "advisory list", "test")] == ["LAB-2"]
    newest, before, *_ = table(quiet, "history", "test")
    assert (newest["actor"], newest["why"], newest["documents"]) == ("root", "advisory LAB-1 removed", ["updateinfo"])
    assert before["why"] == "2 documents added"
    assert len(assert_sound(quiet.store(), key.public)) == 4


def test_groups_are_set_and_removed_by_hand_and_dnf_sees_them(quiet: Repod, tmp_path: Path) -> None:
    (file,) = write(tmp_path, {"groups.xml": comps("hello")})
    done = quiet.cli("comps set", "test", file)
    assert (done.rc, done.out.split()[-3:]) == (0, ["comps.xml", "set", "3"])
    repo = f"[lab]\nname=lab\nbaseurl=file://{quiet.store()}\ngpgcheck=0\n"
    with Dnf(tmp_path / "host", repo) as host:
        assert host.run("group", "install", "web").rc == 0
        assert host.installed() == ["hello-2-1.noarch"]
        assert quiet.cli("comps remove", "test").rc == 0
        assert "Web" not in host.run("--refresh", "group", "list").out
    assert [row["documents"] for row in table(quiet, "history", "test")][:3] == [["group"], ["group"], ["modules"]]
    assert "no change" in quiet.cli("comps remove", "test").out


def test_a_command_that_cannot_be_carried_out_changes_nothing_and_says_why(quiet: Repod, tmp_path: Path) -> None:
    good, bad, worse, other = write(
        tmp_path, {"a.toml": advisory("A", "hello-2-1.noarch"), "b.toml": b"", "c.json": b"{", "d.txt": b""}
    )
    refused = quiet.cli("advisory add", "test", good, bad, worse)
    assert (refused.rc, refused.out) == (3, "")
    lines = refused.err.splitlines()
    assert "repod: b.toml: id: is required and missing" in lines
    assert lines[-1].startswith("repod: c.json: not JSON: ")
    for words, rc, said in (
        (("advisory add", "test", other), 2, "expected a name as ADVISORY.toml, ADVISORY.json or updateinfo.xml"),
        (("advisory add", "test", tmp_path / "none.toml"), 2, "does not exist"),
        (("advisory add", "nowhere", good), 2, "there are: test"),
        (("advisory remove", "test", "X-1"), 1, "repod: no advisory X-1 in this repository"),
        (("comps set", "test", bad), 3, "repod: b.toml: comps.xml: "),
    ):
        told = quiet.cli(*words)
        assert (told.rc, told.out) == (rc, "")
        assert said in told.err
    assert len(table(quiet, "history", "test")) == 2


def test_packages_are_listed_with_their_module_streams(quiet: Repod) -> None:
    rows = table(quiet, "packages", "test")
    assert {row["package"]: row["module"] for row in rows} == {
        "hello-1-1.noarch": [],
        "hello-2-1.noarch": [],
        "tool-1-1.noarch": ["hi:1"],
        "tool-2-1.noarch": ["hi:2"],
    }


def test_a_command_beside_the_daemon_and_the_daemon_build_on_each_other(repod: Repod, tmp_path: Path, key: Key) -> None:
    shop(repod, tmp_path / "built")
    (file,) = write(tmp_path, {"b.toml": advisory("LAB-2", "tool-2-1.noarch")})
    assert repod.cli("advisory add", "test", file).rc == 0
    drop(repod, {"c.toml": advisory("LAB-3", "tool-2-1.noarch")})
    assert [row["id"] for row in table(repod, "advisory list", "test")] == ["LAB-1", "LAB-2", "LAB-3"]
    assert len(assert_sound(repod.store(), key.public)) == 5


def test_status_counts_documents_that_wait_and_those_that_were_rejected(quiet: Repod) -> None:
    write(quiet.inbox(), {"comps.xml": b"<comps>", "README.txt": b""})
    assert table(quiet, "status")[0]["inbox"] == 1
    assert quiet.once().rc == 3
    row = table(quiet, "status")[0]
    assert (row["inbox"], row["rejected"]) == (0, 1)
