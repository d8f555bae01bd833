"""Real RPM files through the worker processes: facts, refusals, signing in place and by rewriting."""

import base64
import hashlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import createrepo_c
import pysequoia
import pytest

from repod.acceptance import Rules, judge
from repod.client import proving
from repod.doors import Rpms, Unreadable
from repod.errors import Corrupt, Unavailable
from repod.package import Entry, Nevra, StorePath, store_path
from repod.repodata import text
from repod.rpmfile import worker
from repod.rpmfile.pool import RpmWorkers
from tests.lab import damage, headers, oracle, processes, rpms
from tests.lab.bounds import temporary
from tests.lab.clients import createrepo_c_list
from tests.lab.keys import Key, gnupghome, gpg, make_key, rpm_verifies
from tests.lab.rpmbuild import rpmbuild
from tests.lab.wait import until

HREF = store_path("Packages/h/hello-1.0-1.noarch.rpm")
RULES = Rules(arches=["noarch", "x86_64"], profile="fedora")


class Here:
    """The same functions in this process, so that coverage sees them."""

    examine = staticmethod(worker.examine)
    seal = staticmethod(worker.seal)
    describe = staticmethod(worker.describe)
    glance = staticmethod(worker.glance)


@contextmanager
def reading(*, timeout: float = 60, memory: int = 2 << 30) -> Iterator[RpmWorkers]:
    """A pool of one process, ended in the end."""
    workers = RpmWorkers(count=1, timeout=timeout, bounds=temporary(memory))
    try:
        yield workers
    finally:
        workers.close()


@pytest.fixture(scope="module")
def workers(long_lived: set[int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RpmWorkers]:
    before = processes.children(os.getpid())
    with reading() as workers:
        workers.examine(rpms.quick(tmp_path_factory.mktemp("first")), b"")
        long_lived |= processes.children(os.getpid()) - before
        yield workers


@pytest.fixture(params=["here", "workers"])
def rpm_reader(request: pytest.FixtureRequest) -> Rpms:
    reader: Rpms = Here() if request.param == "here" else request.getfixturevalue("workers")
    return reader


@pytest.fixture(scope="session")
def foreign() -> Key:
    return make_key("rsa2048", uid="Somebody Else <else@example.com>")


def sign(key: Key, data: bytes) -> bytes:
    signer = pysequoia.Tsk.from_bytes(key.secret).signer()
    return bytes(pysequoia.sign(signer, data, mode=pysequoia.SignatureMode.DETACHED, armor=False))


def seal(rpm_reader: Rpms, path: Path, key: Key, *, href: StorePath = HREF, changelogs: int = 10) -> Entry:
    facts = rpm_reader.examine(path, b"")
    return rpm_reader.seal(path, sign(key, facts.signable), key.public, href, changelogs)


def query(path: Path, what: str) -> str:
    done = subprocess.run(["rpm", "-qp", "--nosignature", "--qf", what, str(path)], check=True, capture_output=True)
    return done.stdout.decode()


BUILDERS: dict[str, Callable[[Path], Path]] = {
    "quick": lambda folder: rpms.quick(folder, "hello", epoch=3, changelog=rpms.changelog(12)),
    "version 6": lambda folder: rpms.quick(folder, "hello", "1.0~rc1^git", fmt=6),
    "zstd": lambda folder: rpms.quick(folder, "lib++", arch="x86_64", compression="zstd", requires=["a >= 2:1-1"]),
    "no room": lambda folder: rpms.quick(folder, "hello", reserved=0, files={"/usr/bin/hello": os.urandom(3 << 20)}),
    "no files": lambda folder: rpms.quick(folder, "hello", files={}),
    "nfpm": lambda folder: rpms.nfpm(folder, "nfhello", "1.2.3", epoch="2"),
    "rpmbuild": lambda folder: rpmbuild(folder, "hello", changelog=rpms.changelog(12))[0],
}


@pytest.fixture(params=BUILDERS)
def built(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "built"
    folder.mkdir()
    return BUILDERS[request.param](folder)


def test_the_facts_are_those_that_rpm_reads(rpm_reader: Rpms, built: Path, request: pytest.FixtureRequest) -> None:
    facts = rpm_reader.examine(built, b"")
    assert facts.faults == ()
    epoch, name, version, release, arch = query(built, "%{EPOCHNUM}|%{NAME}|%{VERSION}|%{RELEASE}|%{ARCH}").split("|")
    assert facts.nevra == Nevra(name=name, epoch=int(epoch), version=version, release=release, arch=arch)
    assert facts.size == built.stat().st_size
    assert facts.header_sha256 == query(built, "%{SHA256HEADER}") == hashlib.sha256(facts.signable).hexdigest()
    assert facts.payload_sha256 == query(built, "%{PAYLOADDIGEST}")
    assert facts.payload_compressor == query(built, "%{PAYLOADCOMPRESSOR}")
    assert facts.source_rpm == query(built, "%|SOURCERPM?{%{SOURCERPM}}:{}|")
    assert facts.file_digest == ("sha256" if query(built, "[%{BASENAMES}]") != "(none)" else "")
    assert (facts.signatures, facts.signers) == ((), ())
    assert facts.rpm_format == (6 if request.node.callspec.params["built"] == "version 6" else 4)
    assert judge(facts, RULES) == []


def test_a_sealed_package_is_verified_by_rpm_and_is_the_same_build(
    rpm_reader: Rpms, built: Path, key: Key, request: pytest.FixtureRequest
) -> None:
    before = rpm_reader.examine(built, b"")
    entry = seal(rpm_reader, built, key)
    after = rpm_reader.examine(built, key.public)
    # rpm 4.18 does not know the signature tag of format 6.
    assert rpm_verifies(built, key.public) == (request.node.callspec.params["built"] != "version 6")
    assert (after.build, after.signable, after.faults) == (before.build, before.signable, ())
    assert after.signers == (key.fingerprint,)
    assert {signature.key for signature in after.signatures} <= {key.fingerprint, key.fingerprint[-16:]}
    assert entry.package.nevra == before.nevra
    assert entry.package.pkgid == hashlib.sha256(built.read_bytes()).hexdigest()
    assert (entry.package.size, entry.package.href) == (built.stat().st_size, HREF)
    assert [path.name for path in built.parent.glob("*.rpm*")] == [built.name]


def test_an_entry_says_what_createrepo_c_says_of_the_signed_file(rpm_reader: Rpms, built: Path, key: Key) -> None:
    entry = seal(rpm_reader, built, key, changelogs=5)
    oracle.createrepo(built.parent, built.parent, "--changelog-limit", "5")
    (wanted,) = createrepo_c_list(built.parent)
    (found,) = _read(entry, built.parent)
    assert oracle.fields(found) == oracle.fields(wanted)
    assert found.location_href == HREF
    assert len(found.changelogs) <= 5


def _read(entry: Entry, folder: Path) -> list[createrepo_c.Package]:
    paths = []
    for kind, data in zip(text.KINDS, (entry.primary, entry.filelists, entry.other), strict=True):
        paths.append(folder / f"{kind}.xml")
        paths[-1].write_bytes(text.head(kind, 1) + data + text.tail(kind))
    return list(createrepo_c.PackageIterator(*map(str, paths)))


def test_the_newest_changelogs_are_kept(rpm_reader: Rpms, tmp_path: Path, key: Key) -> None:
    path = rpms.quick(tmp_path, changelog=rpms.changelog(12))
    (found,) = _read(seal(rpm_reader, path, key, changelogs=3), tmp_path)
    assert [line[2] for line in found.changelogs] == [f"- change number {number}" for number in (10, 11, 12)]


def test_signing_in_place_changes_neither_size_nor_place(rpm_reader: Rpms, tmp_path: Path, key: Key) -> None:
    path = rpms.quick(tmp_path)
    before = path.stat()
    seal(rpm_reader, path, key)
    assert (path.stat().st_size, path.stat().st_ino) == (before.st_size, before.st_ino)


def test_a_signature_without_room_makes_the_file_larger_and_leaves_the_rest(
    rpm_reader: Rpms, tmp_path: Path, key: Key
) -> None:
    path = rpms.quick(tmp_path, reserved=0)
    main = path.read_bytes()[damage.header_offset(path) :]
    seal(rpm_reader, path, key)
    assert path.read_bytes()[damage.header_offset(path) :] == main
    assert path.read_bytes().endswith(main)


@pytest.mark.parametrize("builder", ["nfpm", "quick"])
def test_a_foreign_signature_is_replaced_by_ours_alone(
    builder: str, rpm_reader: Rpms, tmp_path: Path, key: Key, foreign: Key
) -> None:
    if builder == "nfpm":
        secret = tmp_path / "foreign.asc"
        secret.write_bytes(foreign.secret)
        path = rpms.nfpm(tmp_path, key=secret)
    else:
        path = rpms.quick(tmp_path)
        seal(rpm_reader, path, foreign)
    assert rpm_verifies(path, foreign.public)
    facts = rpm_reader.examine(path, key.public + b"\n" + foreign.public)
    assert facts.signers == (foreign.fingerprint,)
    assert rpm_reader.examine(path, key.public).signers == ()
    seal(rpm_reader, path, key)
    assert rpm_reader.examine(path, foreign.public + key.public).signers == (key.fingerprint,)
    assert rpm_verifies(path, key.public)
    assert not rpm_verifies(path, foreign.public)


def test_a_package_that_has_our_signature_is_described_as_it_is(rpm_reader: Rpms, tmp_path: Path, key: Key) -> None:
    path = rpms.quick(tmp_path)
    first = seal(rpm_reader, path, key)
    data = path.read_bytes()
    assert rpm_reader.seal(path, None, key.public, HREF, 10) == first
    assert path.read_bytes() == data


def test_a_signature_by_rpmsign_is_left_as_it_is(rpm_reader: Rpms, tmp_path: Path, key: Key) -> None:
    path = rpms.quick(tmp_path)
    with gnupghome() as home:
        gpg(home, "--import", data=key.secret)
        macros = {"_gpg_name": key.fingerprint, "_gpg_path": home, "__gpg": "/usr/bin/gpg"}
        words = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
        subprocess.run(["rpmsign", *words, "--addsign", str(path)], check=True, capture_output=True)
    data = path.read_bytes()
    assert rpm_reader.examine(path, key.public).signers == (key.fingerprint,)
    rpm_reader.seal(path, None, key.public, HREF, 10)
    assert path.read_bytes() == data


SIG_OPENPGP, SIG_RSA, SIG_PGP = 278, 268, 1002


@pytest.mark.parametrize("case", ["only for rpm 6", "of old beside it", "another for rpm 4", "junk for rpm 4"])
def test_a_signature_that_not_every_rpm_takes_is_not_good_enough(
    case: str, rpm_reader: Rpms, tmp_path: Path, key: Key, foreign: Key
) -> None:
    path = rpms.quick(tmp_path)
    signature = sign(key, rpm_reader.examine(path, b"").signable)
    rpm = headers.Rpm.read(path)
    header = rpm.header.to_bytes()
    rpm.write(path)
    made = {
        "only for rpm 6": {},
        "of old beside it": {SIG_RSA: signature, SIG_PGP: sign(foreign, header)},
        "another for rpm 4": {SIG_RSA: sign(foreign, header)},
        "junk for rpm 4": {SIG_RSA: b"junk"},
    }[case]
    for tag, value in made.items():
        rpm.signature.set(tag, headers.BINARY, value)
    rpm.signature.set(SIG_OPENPGP, headers.STRINGS, [base64.b64encode(signature)])
    raw = rpm.signature.to_bytes()
    path.write_bytes(rpm.lead + raw + bytes(-len(raw) % 8) + path.read_bytes()[damage.header_offset(path) :])
    assert rpm_reader.examine(path, key.public).signers == (key.fingerprint,)
    with pytest.raises(Unreadable, match="signature") as caught:
        rpm_reader.seal(path, None, key.public, HREF, 10)
    assert caught.value.faults[0].code == "signing"


@pytest.mark.parametrize("case", ["unsigned", "another key", "another build", "junk"])
def test_what_does_not_verify_with_our_key_alone_is_not_described(
    case: str, rpm_reader: Rpms, tmp_path: Path, key: Key, foreign: Key
) -> None:
    path = rpms.quick(tmp_path)
    facts = rpm_reader.examine(path, b"")
    signatures = {
        "unsigned": None,
        "another key": sign(foreign, facts.signable),
        "another build": sign(key, facts.signable + b"x"),
        "junk": b"junk",
    }
    with pytest.raises(Unreadable) as caught:
        rpm_reader.seal(path, signatures[case], key.public, HREF, 10)
    assert [fault.code for fault in caught.value.faults] == ["signing"]


def _faults(rpm_reader: Rpms, path: Path) -> list[str]:
    try:
        return [fault.code for fault in judge(rpm_reader.examine(path, b""), RULES)]
    except Unreadable as error:
        return [fault.code for fault in error.faults]


LATIN = "Zusammenf\xfcgung".encode("latin-1")
BAD: dict[str, tuple[list[str], Callable[[Path, Path], Any]]] = {
    "empty": (["not-rpm"], lambda _, to: to.write_bytes(b"")),
    "html": (["not-rpm"], lambda _, to: to.write_bytes(damage.JUNK["html"])),
    "lead only": (["truncated"], lambda rpm, to: damage.truncate_at(rpm, to, 96)),
    "cut in the payload": (["truncated"], lambda rpm, to: damage.truncate_at(rpm, to, -1)),
    "more than promised": (["digest"], lambda rpm, to: to.write_bytes(rpm.read_bytes() + b"x")),
    "payload bit": (["digest"], lambda rpm, to: damage.flip_bit(rpm, to, -20)),
    "index bomb": (["truncated"], lambda rpm, to: headers.bomb(rpm, to, store=1 << 27)),
    "control": (["text"], lambda rpm, to: headers.edit(rpm, to, headers.text(headers.SUMMARY, "a\x1bb", headers.I18N))),
    "latin-1": (["text"], lambda rpm, to: headers.edit(rpm, to, headers.text(headers.SUMMARY, LATIN, headers.I18N))),
    "path": (["path"], lambda rpm, to: headers.edit(rpm, to, headers.directories("../../etc/"))),
    "name": (["name"], lambda rpm, to: headers.edit(rpm, to, headers.text(headers.NAME, "../../../tmp/evil"))),
    "no name": (["not-rpm"], lambda rpm, to: headers.edit(rpm, to, lambda parts: parts.header.drop(headers.NAME))),
    "hyphen": (["version"], lambda rpm, to: headers.edit(rpm, to, headers.text(headers.VERSION, "1.2.3~a-b"))),
    "source": (["source"], lambda rpm, to: headers.edit(rpm, to, headers.source_package)),
    "md5 only": (["unverifiable", "unverifiable"], lambda rpm, to: headers.edit(rpm, to, headers.md5_only)),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_has_the_faults_that_it_has(case: str, rpm_reader: Rpms, tmp_path: Path) -> None:
    codes, spoil = BAD[case]
    path = tmp_path / "bad.rpm"
    spoil(rpms.quick(tmp_path), path)
    assert _faults(rpm_reader, path) == codes


ODD = {"no items": (5999, 7, 0), "null type": (5999, 0, 1), "reserved tag": (50, 7, 1), "two strings": (5999, 6, 2)}


def _odd(path: Path, tag: int, kind: int, count: int) -> None:
    headers.edit(path, path, lambda rpm: rpm.header.entries.update({tag: headers.Entry(kind, count, b"a\0b\0")}))


@pytest.mark.parametrize("case", ODD)
def test_an_index_that_rpm_refuses_is_refused_before_anything_parses_it(
    case: str, rpm_reader: Rpms, tmp_path: Path
) -> None:
    path = rpms.quick(tmp_path)
    _odd(path, *ODD[case])
    with pytest.raises(Unreadable, match=f"main header: tag {ODD[case][0]}: expected") as caught:
        rpm_reader.examine(path, b"")
    assert caught.value.faults[0].code == "not-rpm"


def test_a_header_that_only_rpm_refuses_is_not_published(rpm_reader: Rpms, tmp_path: Path, key: Key) -> None:
    path = rpms.quick(tmp_path)
    _odd(path, headers.FILEDIGESTALGO, headers.STRINGS, 1)  # a number, by rpm's table of tags
    with pytest.raises(Unreadable, match="rpm cannot read it") as caught:
        seal(rpm_reader, path, key)
    assert caught.value.faults[0].code == "reader"


def test_what_would_end_the_process_that_parses_it_is_refused_by_its_index(rpm_reader: Rpms, tmp_path: Path) -> None:
    path = rpms.quick(tmp_path)

    def lie(header: bytes) -> bytes:
        row = next(at for at in range(16, len(header), 16) if header[at : at + 4] == (1112).to_bytes(4))
        return header[: row + 12] + b"\xff" * 4 + header[row + 16 :]

    headers.Rpm.read(path).write(path, lie)
    with pytest.raises(Unreadable, match="tag 1112: expected 4294967295 items of 4 bytes"):
        rpm_reader.examine(path, b"")
    with pytest.raises(Corrupt, match="tag 1112"):  # what repoctl does before it sends anything
        proving.prove(path)


def test_a_signature_that_rpm_4_would_not_see_is_a_fault_of_the_file(
    rpm_reader: Rpms, tmp_path: Path, key: Key
) -> None:
    path = rpms.quick(tmp_path, reserved=0)

    def room(rpm: headers.Rpm) -> None:
        rpm.signature.set(999, headers.BINARY, bytes(4096))

    headers.edit(path, path, room)
    with pytest.raises(Unreadable, match="no signature that rpm 4 would see") as caught:
        seal(rpm_reader, path, key)
    assert caught.value.faults[0].code == "reader"  # another code would have it stay in the inbox for ever


def test_a_file_that_hangs_its_reader_costs_one_task(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hangs.rpm")
    good = rpms.quick(tmp_path)
    with reading(timeout=4) as workers:
        with pytest.raises(Unreadable, match="more than 4 s") as caught:
            workers.examine(tmp_path / "hangs.rpm", b"")
        assert caught.value.faults[0].code == "reader"
        assert workers.examine(good, b"").faults == ()


def test_a_file_that_kills_its_readers_costs_one_task(tmp_path: Path) -> None:
    fifo, good = tmp_path / "kills.rpm", rpms.quick(tmp_path)
    os.mkfifo(fifo)
    with reading() as workers, ThreadPoolExecutor(1) as threads:
        task = threads.submit(workers.examine, fifo, b"")
        # A FIFO can be opened so only when its reader is there, which then waits for more.
        writer = until(lambda: _opened(fifo), 60, "the reader to open the file")
        # The file gets a second try: the first process may have been lost by chance.
        first = until(lambda: _readers(fifo), 60, "a process to have the file open")
        os.kill(*first, signal.SIGSEGV)
        second = until(lambda: _readers(fifo) - first, 60, "another process to have the file open")
        os.kill(*second, signal.SIGSEGV)
        with pytest.raises(Unreadable, match=r"it crashed the process that read it .* twice") as caught:
            task.result(60)
        os.close(writer)
        assert caught.value.faults[0].code == "reader"
        assert workers.examine(good, b"").faults == ()


def _opened(fifo: Path) -> int | None:
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def _readers(fifo: Path) -> set[int]:
    found = set[int]()
    for pid in processes.children(os.getpid()):
        with suppress(OSError):
            if any(link.readlink() == fifo for link in Path(f"/proc/{pid}/fd").iterdir()):
                found.add(pid)
    return found


def test_a_file_that_needs_too_much_memory_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    large, good = rpms.quick(tmp_path, "large", summary="x" * (30 << 20)), rpms.quick(tmp_path)
    with reading(memory=250 << 20) as workers:
        with pytest.raises(Unreadable, match=r"\[workers\] memory") as caught:
            workers.examine(large, b"")
        assert caught.value.faults[0].code == "reader"
        assert workers.examine(good, b"").faults == ()


def test_a_private_copy_that_is_gone_is_no_fault_of_the_package(tmp_path: Path) -> None:
    with reading() as workers, pytest.raises(Unavailable, match="private copy cannot be worked on"):
        workers.examine(tmp_path / "gone.rpm", b"")
    with pytest.raises(Unavailable, match="stopped"):
        workers.examine(tmp_path / "gone.rpm", b"")


# ---------------------------------------------------------------- from the beginning of the file alone


def test_the_beginning_of_a_file_gives_the_same_metadata_as_the_whole(
    rpm_reader: Rpms, built: Path, key: Key, tmp_path: Path
) -> None:
    """Whenever it is read, from whichever copy: metadata are a function of the package."""
    sealed = seal(rpm_reader, built, key)
    os.utime(built, (0, 0))
    assert rpm_reader.describe(built, None, HREF, 10) == sealed
    head = tmp_path / "head"
    head.write_bytes(built.read_bytes()[: damage.payload_offset(built)])
    assert rpm_reader.describe(head, sealed.package, HREF, 10) == sealed
    assert rpm_reader.glance(head, sealed.package, key.public) == rpm_reader.examine(built, key.public)
    assert rpm_reader.glance(head, sealed.package, b"").signers == ()


def test_the_time_of_the_file_is_that_of_its_build(rpm_reader: Rpms, tmp_path: Path, key: Key) -> None:
    entry = seal(rpm_reader, rpms.quick(tmp_path), key)
    assert f'<time file="{rpms.TIME}" build="{rpms.TIME}"/>'.encode() in entry.primary


def test_a_damaged_beginning_is_refused(rpm_reader: Rpms, tmp_path: Path, key: Key) -> None:
    path = rpms.quick(tmp_path)
    sealed = seal(rpm_reader, path, key)
    head = tmp_path / "head"
    offset = damage.header_offset(path) + 400
    damage.flip_bit(path, head, offset)
    with pytest.raises(Unreadable):
        rpm_reader.describe(head, sealed.package, HREF, 10)
    assert [fault.code for fault in rpm_reader.glance(head, sealed.package, key.public).faults] != []
    head.write_bytes(path.read_bytes()[:offset])
    with pytest.raises(Unreadable):
        rpm_reader.describe(head, sealed.package, HREF, 10)
    other = replace(sealed.package, nevra=Nevra.parse("other-1.0-1.noarch"))
    with pytest.raises(Unreadable, match="two readers disagree"):
        rpm_reader.describe(path, other, HREF, 10)


def test_a_whole_file_with_a_damaged_payload_is_not_described(rpm_reader: Rpms, tmp_path: Path) -> None:
    path = rpms.quick(tmp_path)
    with pytest.raises(Unreadable, match="payload"):
        rpm_reader.describe(damage.flip_bit(path, tmp_path / "bad", -20), None, HREF, 10)
