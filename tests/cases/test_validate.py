"""Cases about whether a package is a good one."""

import os
from pathlib import Path

import pytest
import rpm_rs
from lxml import etree

from repod.errors import Misconfigured
from repod.package import StorePath
from repod.rpmfile.pool import RpmWorkers
from tests.cases.place import MakePlace, Place, forked
from tests.lab import damage, headers, rpms
from tests.lab.bounds import temporary
from tests.lab.checker import check
from tests.lab.clients import Dnf, Zypper
from tests.lab.daemon import Repod
from tests.lab.headers import edit, text
from tests.lab.inboxes import files_below
from tests.lab.keys import Key, export, generate, gnupghome, gpg, make_key
from tests.lab.rpmbuild import XZ, ZSTD, rpmbuild
from tests.lab.wait import until


def test_c021_a_package_with_a_cut_payload_is_refused_and_never_signed(place: Place, built: Path) -> None:
    """With its header whole and 5 kB of payload it is refused as truncated, after the wait for the rest."""
    good = rpms.quick(built, files={"/data": os.urandom(40_000)})
    cut = damage.truncate_at(good, built / "cut.rpm", damage.payload_offset(good) + 5000)
    data = cut.read_bytes()
    ((code, said),) = place.refuse(cut)
    assert code == "truncated"
    assert str(good.stat().st_size) in said
    assert (place.rejected / "cut.rpm").read_bytes() == data
    assert place.sound() == {}
    assert place.metric("repod_stage_seconds_count", stage="sign") == 0


def test_c023_what_is_no_package_is_refused_with_a_readable_reason(place: Place, built: Path) -> None:
    """Nothing, a lone lead, a web page, a picture, a gzip file: five refusals, and the next package is published."""
    good = rpms.quick(built)
    junk = damage.JUNK | {"lead": good.read_bytes()[:96]}
    for name, data in junk.items():
        (built / f"{name}.rpm").write_bytes(data)
        place.put(built / f"{name}.rpm")
    assert [end.result for end in place.drain()] == ["rejected"] * 5
    said = {name: place.reason(f"{name}.rpm")["faults"][0] for name in junk}
    assert {fault["code"] for fault in said.values()} == {"not-rpm", "truncated"}
    assert "an empty file" in said["empty"]["text"]
    assert "<!DOCTYPE" in said["html"]["text"]
    assert place.metric("repod_arrivals_total", result="rejected") == 5
    place.publish(good)
    assert list(place.sound()) == ["hello-1.0-1.noarch"]


def test_c024_a_control_character_in_a_changelog_costs_its_own_package_only(
    tmp_path: Path, key_file: Path, key: Key, built: Path
) -> None:
    """It is refused naming the field; all documents are XML; dnf and zypper load the repository."""
    entry = headers.entry(headers.STRINGS, [b"- colour \x1b[1m here"])
    bad = edit(
        rpms.quick(built, "bad", changelog=rpms.changelog(1)),
        built / "bad.rpm",
        lambda rpm: rpm.header.entries.update({headers.CHANGELOGTEXT: entry}),
    )
    with Repod(tmp_path, key_file) as repod:
        for package in (bad, rpms.quick(built, "good")):
            package.rename(repod.inbox() / package.name)
        until(lambda: repod.find_events("package rejected"), 60, "the bad one to be refused")
        until(lambda: repod.find_events("package published"), 60, "the good one to be published")
        (said,) = repod.find_events("package rejected")[0]["faults"]
        assert said.startswith("changelogtext holds the character U+001B")
        report = check(repod.store(), key.public)
        assert (report.faults, list(report.packages)) == ([], ["good-1.0-1.noarch"])
        for kind, document in report.documents.items():
            assert etree.fromstring(document) is not None, kind
        with Dnf(tmp_path / "dnf", repod.repo_file()) as host:
            assert host.available() == ["good-1.0-1.noarch"]
        with Zypper(tmp_path / "zypper", repod.repo_file()) as host:
            assert host.install("good").rc == 0
            assert host.installed() == ["good-1.0-1.noarch"]


@pytest.mark.parametrize(
    ("tag", "kind", "field"),
    [
        (headers.SUMMARY, headers.I18N, "summary"),
        (headers.DESCRIPTION, headers.I18N, "description"),
        (headers.CHANGELOGTEXT, headers.STRINGS, "changelogtext"),
    ],
)
def test_c026_latin_1_text_is_refused_naming_the_field(
    tag: int, kind: int, field: str, place: Place, built: Path
) -> None:
    """repod converts nothing: text that is not UTF-8 is refused, and the documents stay UTF-8."""
    plain = rpms.quick(built, "plain", changelog=rpms.changelog(1))
    old = edit(plain, built / "old.rpm", text(tag, "- Überraschung für Zoë".encode("latin-1"), kind))
    place.put(old, rpms.quick(built, "good"))
    place.drain()
    (fault,) = place.reason("old.rpm")["faults"]
    assert fault["code"] == "text"
    assert fault["text"].startswith(f"{field} is not UTF-8")
    assert place.log.of("package rejected")[0]["package"] == "plain-1.0-1.noarch"
    assert list(place.sound()) == ["good-1.0-1.noarch"]


@pytest.mark.parametrize(
    ("tag", "field"),
    [(1000, "name"), (1001, "version"), (1002, "release"), (1022, "arch"), (1044, "sourcerpm")],
)
def test_what_a_package_is_called_in_other_than_utf8_is_refused_naming_the_field(
    tag: int, field: str, place: Place, built: Path
) -> None:
    """The reader's own words for it were a number of a tag and "RuntimeError"."""
    odd = edit(rpms.quick(built), built / "odd.rpm", text(tag, b"caf\xe9"))
    ((code, said),) = place.refuse(odd)
    assert (code, said) == ("text", f"{field} is not UTF-8; rebuild the package with clean UTF-8 text")


def test_c028_a_source_package_is_one_whatever_its_arch_tag_says(make_place: MakePlace, built: Path) -> None:
    """Its header names the machine that built it; it is refused, unless the repository takes arch ``src``."""
    binary, sources = make_place(), make_place(arches=["x86_64", "src"])
    source = edit(rpms.quick(built, "foo", arch="x86_64"), built / "foo.src.rpm", headers.source_package)
    binary.copy(source)
    sources.copy(source)
    binary.drain()
    assert [fault["code"] for fault in binary.reason(source.name)["faults"]] == ["source"]
    assert binary.sound() == {}
    assert [end.result for end in sources.drain()] == ["accepted"]
    assert list(sources.sound()) == ["foo-1.0-1.src"]


def test_c030_a_package_of_another_arch_changes_nothing(place: Place, built: Path) -> None:
    """In a repository for x86_64 and noarch an aarch64 package is refused; its documents stay byte for byte."""
    place.publish(rpms.quick(built, arch="x86_64"))
    before = files_below(place.store)
    ((code, said),) = place.refuse(rpms.quick(built, arch="aarch64"))
    assert code == "arch"
    assert "aarch64" in said
    assert "x86_64, noarch" in said
    assert files_below(place.store) == before


def test_c031_a_hyphen_in_a_version_is_refused_and_names_come_from_the_header(place: Place, built: Path) -> None:
    """``1.2.3~a-b`` is no version; what the file is called does not matter for what is published."""
    bad = edit(rpms.quick(built, "abc"), built / "abc-1.2.3~a-b-1.noarch.rpm", text(headers.VERSION, "1.2.3~a-b"))
    ((code, said),) = place.refuse(bad)
    assert code == "version"
    assert "1.2.3~a-b" in said
    assert place.sound() == {}
    place.publish(rpms.quick(built, "abc", "1.2.3~a", "b", as_name="xyz-9-9.src.rpm"))
    (listed,) = place.sound().values()
    assert (listed.name, listed.version, listed.release) == ("abc", "1.2.3~a", "b")
    assert listed.href == "Packages/a/abc-1.2.3~a-b.noarch.rpm"


@pytest.mark.parametrize("what", ["requires", "conflicts", "obsoletes"])
def test_a_relation_that_metadata_would_lack_is_refused(what: str, place: Place, built: Path) -> None:
    """A macro that was not expanded, before a colon: createrepo_c leaves it out, and hosts would choose without it."""
    bad = edit(rpms.quick(built, "bad"), built / "bad.rpm", _related(what, "%{epoch}:1.0"))
    ((code, said),) = place.refuse(bad)
    assert code == "version"
    assert said.startswith(f"it {what} lib of version %{{epoch}}:1.0, whose epoch is no number")
    for name, version in (("plain", "1.0"), ("empty", ":1.0"), ("new", "2:1.0")):
        place.publish(edit(rpms.quick(built, name), built / f"{name}.rpm", _related(what, version)))
    found = {name: listed.relations[what] for name, listed in place.sound().items()}
    assert found == {
        "plain-1.0-1.noarch": [("lib", "GE", "0", "1.0", "", "")],
        "empty-1.0-1.noarch": [("lib", "GE", "0", "1.0", "", "")],
        "new-1.0-1.noarch": [("lib", "GE", "2", "1.0", "", "")],
    }


@pytest.mark.parametrize("what", ["requires", "conflicts"])
def test_a_rich_dependency_that_rpm_cannot_read_is_refused(what: str, place: Place, built: Path) -> None:
    """dnf takes it for a name: it would choose the package, and rpm refuse all that goes with it."""
    bad = edit(rpms.quick(built, "bad"), built / "bad.rpm", _related(what, "", "(lib if base"))
    ((code, said),) = place.refuse(bad)
    assert code == "version"
    assert said.startswith(f"it {what} (lib if base: rpm cannot read this rich dependency")
    place.publish(edit(rpms.quick(built, "good"), built / "good.rpm", _related(what, "", "(lib if base)")))
    assert [relation[0] for relation in place.sound()["good-1.0-1.noarch"].relations[what]] == ["(lib if base)"]


def _related(what: str, version: str, to: str = "lib") -> headers.Edit:
    """Give a package one relation of that kind: to ``lib`` of ``version`` or newer, if there is one."""
    tags = {"requires": (1049, 1048, 1050), "conflicts": (1054, 1053, 1055), "obsoletes": (1090, 1114, 1115)}
    name, flags, of = tags[what]

    def change(rpm: headers.Rpm) -> None:
        rpm.header.set(name, headers.STRINGS, [to])
        rpm.header.set(flags, headers.INT32, [12 if version else 0])
        rpm.header.set(of, headers.STRINGS, [version])

    return change


def test_an_epoch_on_which_dnf_fails_is_refused_and_the_largest_other_one_installed(
    tmp_path: Path, key_file: Path, built: Path
) -> None:
    """rpm knows twice as many epochs; dnf 4 ends with a traceback, also where it was to upgrade all there is."""
    with Repod(tmp_path, key_file) as repod:
        for name, epoch in (("bad", 1 << 31), ("good", (1 << 31) - 1)):
            rpms.quick(built, name, epoch=epoch).rename(repod.inbox() / f"{name}.rpm")
        until(lambda: repod.find_events("package published"), 20, "the good one to be published")
        until(lambda: repod.find_events("package rejected"), 20, "the bad one to be refused")
        assert "epoch 2147483648; expected at most 2147483647" in str(repod.find_events("package rejected"))
        with Dnf(tmp_path / "dnf", repod.repo_file()) as host:
            done = host.install("good")
            assert (done.rc, host.installed()) == (0, ["good-2147483647:1.0-1.noarch"]), done.out


def test_c033_md5_file_digests_are_refused_where_the_policy_says_so(make_place: MakePlace, built: Path) -> None:
    """With ``file_digest = "sha256"`` a package without FILEDIGESTALGO is refused before signing; by default not."""
    strict, lenient = make_place(acceptance={"file_digest": "sha256"}), make_place()
    files = {"/etc/lab.conf": b"x"}
    weak = edit(rpms.quick(built, "weak", files=files), built / "weak.rpm", headers.md5_file_digests(files))
    lenient.copy(weak)
    ((code, said),) = strict.refuse(weak)
    assert code == "file-digest"
    assert "md5" in said
    assert strict.metric("repod_stage_seconds_count", stage="sign") == 0
    strict.publish(rpms.quick(built, "strong", files=files))
    assert list(strict.sound()) == ["strong-1.0-1.noarch"]
    assert [end.result for end in lenient.drain()] == ["accepted"]


def test_c034_a_package_with_md5_alone_is_not_verifiable(make_place: MakePlace, built: Path) -> None:
    """It is refused as unverifiable and counted so; never plain OK."""
    old = edit(rpms.quick(built, "old"), built / "old.rpm", headers.md5_only)
    place = make_place()
    place.copy(old)
    assert [end.result for end in place.drain()] == ["rejected"]
    faults = place.reason(old.name)["faults"]
    assert {fault["code"] for fault in faults} == {"unverifiable"}
    assert "at most MD5" in " ".join(fault["text"] for fault in faults)
    assert place.metric("repod_rejected_total", reason="unverifiable") == 1
    assert place.sound() == {}


@pytest.mark.parametrize("profile", ["el7", "amzn2"])
def test_c035_a_zstd_payload_is_refused_where_hosts_cannot_unpack_it(
    profile: str, make_place: MakePlace, built: Path
) -> None:
    """Profile el7 refuses it at intake and says why; the same package, by rpmbuild, passes in profile el9."""
    (package,) = rpmbuild(built, "packed", payload=ZSTD)
    old, new = make_place(profile=profile), make_place(profile="el9")
    new.copy(package)
    ((code, said),) = old.refuse(package)
    assert code == "profile"
    assert said == f"its payload is zstd, and profile {profile} says rpm 4.11 cannot unpack it; use gzip or xz"
    assert old.metric("repod_rejected_total", reason="profile") == 1
    old.publish(*rpmbuild(built, "plain", payload=XZ))
    assert list(old.sound()) == ["plain-1.0-1.noarch"]
    assert [end.result for end in new.drain()] == ["accepted"]
    assert list(new.sound()) == ["packed-1.0-1.noarch"]


@pytest.mark.parametrize(
    ("needed", "version"),
    [
        ("RichDependencies", "4.12.0-1"),
        ("LargeFiles", "4.12.0-1"),
        ("CaretInVersions", "4.15.0-1"),
        ("WhatNobodyKnowsYet", "7.1.0-1"),
    ],
)
def test_a_package_that_needs_a_newer_rpm_than_hosts_have_is_refused(
    needed: str, version: str, make_place: MakePlace, built: Path
) -> None:
    """Profile el7: what rpm 4.12 or a later one brought. What rpm 4.11 knows passes, and all of it in profile el9."""
    requires = [f"rpmlib({needed}) <= {version}", "rpmlib(TildeInVersions) <= 4.10.0-1"]
    old, new = make_place(profile="el7"), make_place(profile="el9")
    package = rpms.quick(built, requires=requires)
    new.copy(package)
    ((code, said),) = old.refuse(package)
    why = "rpm 4.11 has nothing that a later one brought; build it without"
    assert (code, said) == ("profile", f"it needs rpmlib({needed}) of rpm {version}, and {why}")
    assert [end.result for end in new.drain()] == ["accepted"]
    old.publish(rpms.quick(built, "plain", requires=requires[1:], compression="xz"))


def test_rich_dependencies_as_rpmbuild_writes_them_are_refused_where_hosts_do_not_know_them(
    make_place: MakePlace, built: Path
) -> None:
    """rpmbuild itself adds what the package needs of rpm; its payload of xz, numbered 5.2, passes."""
    old = make_place(profile="el7")
    (package,) = rpmbuild(built, "rich", payload=XZ, preamble="Requires: (sed or busybox)")
    ((code, said),) = old.refuse(package)
    assert code == "profile"
    assert "rpmlib(RichDependencies) of rpm 4.12.0-1" in said


def test_a_package_in_format_6_is_refused_where_hosts_see_no_signature_on_it(
    make_place: MakePlace, built: Path
) -> None:
    """What reading it as signed by repod on such a host ends in is in tests/system/test_profiles.py."""
    package = rpms.quick(built, "six", fmt=6)
    old, new = make_place(profile="el9"), make_place(profile="fedora")
    new.copy(package)
    ((code, said),) = old.refuse(package)
    assert (code, "rpm 4 sees no signature on it; build it in format 4" in said) == ("profile", True)
    assert [end.result for end in new.drain()] == ["accepted"]


@pytest.mark.parametrize("profile", ["el7", "amzn2"])
def test_a_profile_refuses_a_key_that_its_hosts_cannot_verify(profile: str, make_place: MakePlace) -> None:
    with pytest.raises(Misconfigured, match=rf"profile {profile}: the signing key is ed25519.*use an RSA key"):
        make_place(profile=profile, signed_with=make_key("ed25519"))


def test_a_profile_warns_of_a_key_that_its_hosts_perhaps_cannot_verify(make_place: MakePlace) -> None:
    place = make_place(profile="el8", signed_with=make_key("ed25519"))
    (said,) = place.log.warned("signing key")
    assert said.startswith("profile el8: the signing key is ed25519, and rpm 4.14 as released cannot verify it")


def test_c037_an_unsigned_package_is_refused_where_a_signature_is_wanted(
    make_place: MakePlace, key: Key, built: Path, tmp_path: Path
) -> None:
    """Unsigned, or signed by a stranger: refused. Signed by one of ``signed_by``: published, and signed by us."""
    ci, stranger = make_key(), make_key("ed25519")
    (tmp_path / "ci.asc").write_bytes(ci.public)
    place = make_place(acceptance={"signed_by": [ci.fingerprint], "keys": str(tmp_path / "ci.asc")})
    assert [code for code, _ in place.refuse(rpms.quick(built, "bare"))] == ["unsigned"]
    foreign = rpms.quick(built, "foreign")
    rpm_rs.Package.resign_in_place(str(foreign), rpm_rs.Signer(stranger.secret))
    ((code, said),) = place.refuse(foreign)
    assert code == "signer"
    assert ci.fingerprint in said
    wanted = rpms.quick(built, "wanted")
    rpm_rs.Package.resign_in_place(str(wanted), rpm_rs.Signer(ci.secret))
    place.publish(wanted)
    assert list(place.sound()) == ["wanted-1.0-1.noarch"]


def test_what_a_key_signed_that_is_revoked_or_had_ended_counts_as_not_signed(
    make_place: MakePlace, built: Path, tmp_path: Path
) -> None:
    """Whoever has the key of CI that was stolen may not go on with it. A warning at the start names each key."""
    ended, gone = make_key(lifetime="1d", options=("--faked-system-time", "20200101T000000!")), make_key()
    stolen, revoked = _revoked()
    listed = [ended.fingerprint, stolen.fingerprint, gone.fingerprint]
    (tmp_path / "ci.asc").write_bytes(ended.public + revoked)
    place = make_place(acceptance={"signed_by": listed, "keys": str(tmp_path / "ci.asc")})
    for name, key in (("late", ended), ("stolen", stolen)):
        package = rpms.quick(built, name)
        rpm_rs.Package.resign_in_place(str(package), rpm_rs.Signer(key.secret))
        ((code, said),) = place.refuse(package)
        assert (code, f"{key.fingerprint} (not verified)" in said) == ("signer", True), said
    told = place.log.warned("keys of arrivals")
    assert [fingerprint in line for fingerprint, line in zip(listed, told, strict=True)] == [True] * 3
    assert [word in line for word, line in zip(("expired at 2020", "revoked", "not there"), told, strict=True)]


def _revoked() -> tuple[Key, bytes]:
    """A key as it was, and its public part with its revocation."""
    with gnupghome() as home:
        fingerprint = generate(home)
        key = export(home, fingerprint)
        prepared = (home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text()
        gpg(home, "--import", data=prepared.replace(":-----BEGIN", "-----BEGIN").encode())
        revoked = export(home, fingerprint).public
        return key, revoked


def test_c038_sizes_over_4_gib_are_exact_and_hashed_in_pieces(key: Key, built: Path) -> None:
    """LONGSIZE and LONGSIGSIZE over 4 GiB stand in metadata as they are; memory stays below 100 MB more."""
    size, href = (4 << 30) + 12345, StorePath("Packages/big.rpm")
    small = rpms.quick(built, "small")
    big = edit(rpms.quick(built, "big"), built / "big.rpm", headers.oversize(size))
    for package in (small, big):
        rpm_rs.Package.resign_in_place(str(package), rpm_rs.Signer(key.secret))
    workers = RpmWorkers(count=1, timeout=250, bounds=temporary(8 << 30))
    try:
        workers.seal(small, None, key.public, href, 10)
        before = _peak_of_workers()
        entry = workers.seal(big, None, key.public, href, 10)
        more = _peak_of_workers() - before
    finally:
        workers.close()
    found = etree.fromstring(b'<m xmlns="m" xmlns:rpm="r">' + entry.primary + b"</m>").find(".//{m}size")
    assert found is not None
    assert (int(found.get("installed", "")), int(found.get("package", ""))) == (size, big.stat().st_size)
    assert entry.package.size == big.stat().st_size > size
    assert more < 100_000


def _peak_of_workers() -> int:
    """The most memory in KiB that a child of this process ever had."""
    states = [Path(f"/proc/{pid}/status").read_text() for pid in forked()]
    return max(int(line.split()[1]) for state in states for line in state.splitlines() if line.startswith("VmHWM"))
