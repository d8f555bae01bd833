"""The lab's builders, damage, settings writer and watch over processes do what they say."""

import itertools
import platform
import subprocess
import tomllib
from pathlib import Path

import createrepo_c
import pytest
import rpm_rs

from tests.lab import damage, headers, processes, rpms
from tests.lab.clients import rpmkeys_check
from tests.lab.daemon import toml
from tests.lab.keys import Key
from tests.lab.rpmbuild import ZSTD, rpmbuild
from tests.lab.wait import heard, until


def _digests_are_right(path: Path) -> bool:
    return bool(rpm_rs.Package.open(str(path)).check_digests().is_ok()) and rpmkeys_check(None, path)[path].ok


HOSTILE: dict[str, headers.Edit] = {
    "nothing": lambda _: None,
    "a name that leads out": headers.text(headers.NAME, "../../../tmp/evil"),
    "a version with a hyphen": headers.text(headers.VERSION, "1.2.3~a-b"),
    "a Latin-1 summary": headers.text(headers.SUMMARY, b"caf\xe9", headers.I18N),
    "files outside": headers.directories("/../../etc/"),
    "a source package": headers.source_package,
    "MD5 file digests": headers.md5_file_digests({"/etc/lab.conf": b"x"}),
}


@pytest.mark.parametrize("fault", HOSTILE)
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_a_crafted_header_has_fitting_digests_so_only_the_fault_shows(
    fault: str, compression: str, tmp_path: Path
) -> None:
    good = rpms.quick(tmp_path, files={"/etc/lab.conf": b"x"}, compression=compression)
    bad = headers.edit(good, tmp_path / "bad.rpm", HOSTILE[fault])
    assert _digests_are_right(bad)
    assert (bad.read_bytes() == good.read_bytes()) == (fault == "nothing")


def test_a_package_with_md5_alone_is_whole_for_rpm(tmp_path: Path) -> None:
    bad = headers.edit(rpms.quick(tmp_path), tmp_path / "md5.rpm", headers.md5_only)
    assert not rpm_rs.Package.open(str(bad)).check_digests().has_payload_digest()
    assert rpmkeys_check(None, bad)[bad].text == "digests OK"


def test_an_oversize_package_takes_no_room_and_says_its_exact_size(tmp_path: Path) -> None:
    big = headers.edit(rpms.quick(tmp_path), tmp_path / "big.rpm", headers.oversize(64 << 20))
    assert big.stat().st_blocks * 512 < 1 << 20
    package = createrepo_c.package_from_rpm(str(big))
    assert (package.size_installed, package.size_package) == (64 << 20, big.stat().st_size)


@pytest.mark.parametrize("lie", [{"index": 0xFFFFFF}, {"store": 0x0FFFFFFF}], ids=["index", "store"])
def test_a_header_bomb_differs_from_the_good_file_in_its_counts_and_digests_only(
    lie: dict[str, int], tmp_path: Path
) -> None:
    good = rpms.quick(tmp_path)
    bad = headers.bomb(good, tmp_path / "bomb.rpm", **lie)
    start = damage.header_offset(good)
    assert bad.stat().st_size == good.stat().st_size
    assert bad.read_bytes()[start + 16 :] == good.read_bytes()[start + 16 :]
    assert not rpmkeys_check(None, bad)[bad].ok


def test_damage_is_seen_by_rpm(tmp_path: Path) -> None:
    good = rpms.quick(tmp_path)
    short = damage.truncate_at(good, tmp_path / "short.rpm", damage.payload_offset(good) + 5)
    flipped = damage.flip_bit(good, tmp_path / "flipped.rpm", -3)
    renamed = damage.with_lead(good, tmp_path / "lead.rpm", b"nonsense")
    verdicts = rpmkeys_check(None, short, good, flipped, renamed)
    assert {path.name: verdict.ok for path, verdict in verdicts.items()} == {
        short.name: False,
        good.name: True,
        flipped.name: False,
        renamed.name: False,
    }


@pytest.mark.parametrize("fmt", [4, 6])
def test_quick_packages_say_what_was_asked(fmt: int, tmp_path: Path) -> None:
    path = rpms.quick(tmp_path, "lib++", "1~rc1", "2", "x86_64", epoch=3, provides=["a = 1-2", "b"], fmt=fmt)
    package = createrepo_c.package_from_rpm(str(path))
    assert path.name == "lib++-1~rc1-2.x86_64.rpm"
    assert package.nevra() == "lib++-3:1~rc1-2.x86_64"
    provides = {row[createrepo_c.PCOR_ENTRY_NAME]: row[1:5] for row in package.provides}
    assert provides["a"] == ("EQ", "0", "1", "2")
    assert "b" in provides


def test_rpmbuild_makes_source_debug_and_oddly_named_packages(tmp_path: Path) -> None:
    built = rpmbuild(
        tmp_path,
        "lib++",
        "1.0~rc^a+b",
        arch=platform.machine(),
        epoch=2,
        payload=ZSTD,
        summary=b"caf\xe9",
        requires=["(hello if shell)"],
        changelog=[("Lab <lab@example.com>", "- colour \x1b[31m", rpms.TIME)],
        scriptlets={"pre": "true", "post": "true"},
        subpackages=["libs"],
        source=True,
        debuginfo=True,
    )
    machine = platform.machine()
    assert [path.name for path in built] == [
        "lib++-1.0~rc^a+b-1.src.rpm",
        f"lib++-1.0~rc^a+b-1.{machine}.rpm",
        f"lib++-debuginfo-1.0~rc^a+b-1.{machine}.rpm",
        f"lib++-debugsource-1.0~rc^a+b-1.{machine}.rpm",
        f"lib++-libs-1.0~rc^a+b-1.{machine}.rpm",
    ]
    assert all(_digests_are_right(path) for path in built)
    found = headers.Rpm.read(built[1]).header
    assert found.entries[headers.SUMMARY].data == b"caf\xe9\0"
    assert "\x1b" in found.strings(headers.CHANGELOGTEXT)[0]


def test_nfpm_makes_a_package_that_it_signs_itself(key: Key, key_file: Path, tmp_path: Path) -> None:
    path = rpms.nfpm(tmp_path, epoch="3", compression="zstd", scriptlets={"postinstall": "true"}, key=key_file)
    assert createrepo_c.package_from_rpm(str(path)).nevra() == "nfhello-3:1.2.3-1.noarch"
    assert rpmkeys_check(key.public, path)[path].ok


def test_settings_are_written_as_toml_that_reads_the_same() -> None:
    settings = {
        "state_dir": 'a "quoted" é\\',
        "http": {"listen": "127.0.0.1:0"},
        "repository": [{"name": "a", "arches": ["x86_64"], "acceptance": {"max_size": 5}}, {"name": "b", "x": True}],
    }
    assert tomllib.loads(toml(settings)) == settings


def test_a_wait_ends_with_the_value_or_says_what_it_waited_for() -> None:
    answers = iter([0, 0, 7])
    assert until(lambda: next(answers), 5, "seven") == 7
    with pytest.raises(AssertionError, match=r"waited 0\.01 s for the sun; last seen: None"):
        until(lambda: None, 0.01, "the sun")


def test_a_stream_is_read_to_a_line_or_what_it_said_is_told() -> None:
    assert heard(iter(["a", "b"]), lambda line: line == "b", "b") == "b"
    with pytest.raises(AssertionError, match=r"waited for c on a stream, which said: \['a', 'b'\]"):
        heard(iter(["a", "b"]), lambda _: False, "c")
    with pytest.raises(AssertionError, match="waited for the sun"):
        heard(itertools.repeat("alive"), lambda _: False, "the sun", 0.01)


def test_a_process_left_behind_is_found_even_as_a_daemon_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPOD_TEST_RUN", "restored afterwards")
    mark = processes.mark()
    before = processes.descendants(mark)  # what multiprocessing keeps for earlier tests
    words = ["sh", "-c", "setsid sh -c 'exec sleep 300' & echo $!"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)

    def sleeps() -> bool:
        return [processes.command(pid) for pid in processes.descendants(mark) - before] == [["sleep", "300"]]

    until(sleeps, 60, "the daemon to be seen")
    processes.end(lambda: processes.descendants(mark) - before, 5, "the daemon")
    assert processes.descendants(mark) <= before
