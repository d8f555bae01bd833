"""RPM files that strangers upload: refused with a documented reason, or let in, and then all readers take them."""

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pysequoia

from repod.acceptance import Rules, judge
from repod.doors import Unreadable
from repod.package import REASONS, Entry, Facts, Fault, store_path
from repod.repodata import text
from repod.rpmfile import worker
from repod.rpmfile.pool import RpmWorkers
from tests.fuzz.core import Finding, Opened, Target, kind_of, said_well
from tests.fuzz.rpmmutate import package
from tests.lab import readers, rpms, views
from tests.lab.bounds import temporary
from tests.lab.clients import rpmkeys_check
from tests.lab.daemon import Repod
from tests.lab.frozen_check import check_every
from tests.lab.keys import Key, make_key
from tests.lab.listing import Listed

ARCHES = ("noarch", "x86_64", "i686", "src")
_RULES = Rules(arches=ARCHES, profile="fedora")
_AT_ONCE = 60
_QUERY = r"%{NAME}|%{EPOCHNUM}|%{VERSION}|%{RELEASE}|%{ARCH}\n"
_QUICK_READERS = ("libsolv repo2solv", "libsolv rpmmd2solv", "createrepo_c PackageIterator")
_ALL_READERS = (*_QUICK_READERS, "dnf repoquery")


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """A mutant that was let in: as it came, as it was signed, and what is listed of it."""

    data: bytes
    came: Path
    signed: Path
    entry: Entry


class Intake:
    """What a worker does with a file, in this process, and then what all others make of what it let in."""

    def __init__(self, folder: Path, key: Key) -> None:
        self._folder = folder
        self._key = key
        self._taken: list[_Taken] = []
        self._kept: dict[str, bytes] = {}
        self._number = 0
        self._file = folder / "arrival.rpm"
        self._signer = pysequoia.Tsk.from_bytes(key.secret).signer()

    def run(self, data: bytes) -> str:
        """One file."""
        self._file.write_bytes(data)
        facts, faults = self._judged()
        if facts is None or faults:
            _said(faults)
            self._keep(data, f"refused: {kind_of(faults[0].text)}")
            return f"refused: {faults[0].code}: {kind_of(faults[0].text)}"
        outcome = self._sealed(data, facts)
        if len(self._taken) >= _AT_ONCE:
            self.compare()
        if facts.rpm_format == 4:
            self._keep(data, outcome)
        return outcome

    def _judged(self) -> tuple[Facts | None, Sequence[Fault]]:
        kind, value = worker.answer(worker.examine, self._file, self._key.public)
        if kind == "unreadable":
            return None, value
        if kind != "done":
            raise Finding(f"a file is taken for a fault of this machine: {value}")
        return value, judge(value, _RULES)

    def _sealed(self, data: bytes, facts: Facts) -> str:
        self._number += 1
        came, signed = (self._folder / f"{self._number}.{what}.rpm" for what in ("came", "signed"))
        came.write_bytes(data)
        signed.write_bytes(data)
        mode = pysequoia.SignatureMode.DETACHED
        signature = bytes(pysequoia.sign(self._signer, facts.signable, mode=mode, armor=False))
        href = facts.nevra.location
        kind, value = worker.answer(worker.seal, signed, signature, self._key.public, href, 10)
        if kind != "done":
            if kind != "unreadable":
                raise Finding(f"a file is taken for a fault of this machine: {value}")
            _said(value)
            if any(fault.code == "signing" for fault in value):
                raise Finding(f"it stays in the inbox for ever, as if the signer were at fault: {value[0].text}")
            came.unlink()
            signed.unlink()
            return f"refused when sealed: {kind_of(value[0].text)}"
        if facts.rpm_format == 4:  # Debian's rpm 4.18 knows neither digests nor signatures of rpm 6
            self._taken.append(_Taken(data=data, came=came, signed=signed, entry=value))
        else:
            came.unlink()
            signed.unlink()
        self._prove(value)
        return f"taken: format {facts.rpm_format}, {facts.payload_compressor[:8]}, {len(value.primary) // 500}"

    @staticmethod
    def _prove(entry: Entry) -> None:
        href = store_path(entry.package.href)
        if not href.startswith("Packages/") or href != entry.package.nevra.location:
            raise Finding(f"listed at {href}")
        found = text.prove(text.row(entry).texts)
        if found != [entry.package]:
            raise Finding(f"its entry reads back as {found}")

    def _keep(self, data: bytes, outcome: str) -> None:
        """One of each outcome, for a whole generation."""
        if len(self._kept) < 150:
            self._kept.setdefault(outcome, data)

    def compare(self) -> None:
        """What rpm says of all that was let in since the last time: unsigned, signed, and what they are."""
        taken, self._taken = self._taken, []
        if not taken:
            return
        for what, key, paths in (
            ("as it came", None, [one.came for one in taken]),
            ("as it was signed", self._key.public, [one.signed for one in taken]),
        ):
            verdicts = rpmkeys_check(key, *paths)
            for one, path in zip(taken, paths, strict=True):
                if not verdicts[path].ok:
                    raise Finding(f"let in, and rpm -K refuses it {what}: {verdicts[path].text[-300:]}", one.data)
        lines = _queried(*(one.signed for one in taken))
        for number, one in enumerate(taken):
            line = lines[number] if len(lines) == len(taken) else "\n".join(_queried(one.signed))
            nevra = one.entry.package.nevra
            found, _, arch = line.rpartition("|")
            # The header of a source package names the machine that built it.
            right = found == "|".join([nevra.name, str(nevra.epoch), nevra.version, nevra.release])
            if not right or nevra.arch not in {arch, "src"}:
                raise Finding(f"listed as {nevra}, and rpm -qp says {line!r}", one.data)
            one.came.unlink()
            one.signed.unlink()

    def settle(self, *, names: Sequence[str] = _ALL_READERS) -> None:
        """A whole generation of what was kept, by repod itself, beside a sound package; and who reads it."""
        self.compare()
        kept, self._kept = list(self._kept.values()), {}
        if kept:
            with tempfile.TemporaryDirectory(prefix="fuzz-", dir=self._folder) as base:
                Generation(Path(base), self._key, kept).prove(names)


def _queried(*paths: Path) -> list[str]:
    words = [rpms.tool("rpm"), "-qp", "--nosignature", "--qf", _QUERY, *map(str, paths)]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False, timeout=60)
    return done.stdout.splitlines()


class Generation:
    """A repository into which files come, beside one that is sound."""

    def __init__(self, base: Path, key: Key, files: Sequence[bytes]) -> None:
        secret = base / "key.asc"
        secret.touch(0o600)
        secret.write_bytes(key.secret)
        # A slow machine is no fault of a file, and nothing waits for the rest of one.
        settings = {"workers": {"timeout": "120s"}, "inbox": {"settle": 0.0, "incomplete_after": 0.0}}
        own = {"profile": "fedora", "arches": list(ARCHES)}
        self._base = base
        self._repod = Repod(base, secret, {"test": own}, settings=settings)
        self._repod.unsound.add("test")  # whether it is, is said here with the file that makes it so
        self._files = files

    def prove(self, names: Sequence[str]) -> None:
        """``Finding`` where a file is lost, the sound one is hurt, or a reader does not see what is listed."""
        inbox = self._repod.inbox()
        rpms.quick(inbox, "sound", "7.0")
        for number, data in enumerate(self._files):
            (inbox / f"{number:04}.rpm").write_bytes(data)
        done = self._repod.once()
        if "Traceback" in done.err + done.out:
            raise Finding(f"repod once: {done.err[-2000:]}")
        left = [path.name for path in inbox.iterdir()]
        if left:
            raise Finding(f"left in the inbox: {left[:5]}: {done.err[-1500:]}", self._files[int(left[0][:4])])
        report = check_every(self._repod.store(), (self._repod.store() / "RPM-GPG-KEY-test").read_bytes())
        if report.faults:
            raise Finding(f"a generation is not sound: {report.faults[:3]}", self._guilty(report.faults[0]))
        if "sound-7.0-1.noarch" not in report.packages:
            raise Finding(f"a sound package is not listed beside them: {sorted(report.packages)[:5]}")
        self._reasons()
        self._read(report.packages, names)

    def _guilty(self, fault: str) -> bytes | None:
        """The file that a fault speaks of, as far as it can be told."""
        for data in self._files:
            path = self._base / "one.rpm"
            path.write_bytes(data)
            lines = _queried(path)
            name = lines[0].split("|")[0] if lines else ""
            if name and name in fault:
                return data
        return None

    def _reasons(self) -> None:
        for path in self._repod.rejected().glob("*.json"):
            said = json.loads(path.read_bytes())
            for fault in said["faults"]:
                if fault["code"] not in REASONS:
                    raise Finding(f"an undocumented reason: {fault}")

    def _read(self, packages: dict[str, Listed], names: Sequence[str]) -> None:
        view = views.View(root=self._repod.store(), address=f"file://{self._repod.store()}/")
        wanted = views.stated(view, packages)
        for name in names:
            work = self._base / name.replace(" ", "-")
            work.mkdir()
            found = {nevra: _identity(facts) for nevra, facts in readers.READERS[name](view, work).items()}
            faults = views.differences({nevra: _identity(facts) for nevra, facts in wanted.items()}, found)
            if faults:
                raise Finding(f"{name} sees other packages: {faults[:3]}", self._guilty(faults[0]))


def _identity(facts: views.Facts) -> views.Facts:
    """What no reader may see otherwise; some make more relations of strange ones."""
    return {key: facts[key] for key in ("pkgid", "href", "size")}


def contained(data: bytes) -> str:
    """What becomes of a file that ends or holds up the process that reads it: ``Finding`` where that is unnoticed."""
    workers = RpmWorkers(count=1, timeout=10, bounds=temporary())
    try:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            path = Path(folder) / "a.rpm"
            path.write_bytes(data)
            facts = workers.examine(path, b"")
            faults = judge(facts, _RULES)
    except Unreadable as error:
        faults = list(error.faults)
    finally:
        workers.close()
    if not faults:
        return "taken"
    _said(faults)
    return f"refused: {faults[0].code}"


def _said(faults: Sequence[Fault]) -> None:
    if not faults:
        raise Finding("refused without a reason")
    for fault in faults:
        if fault.code not in REASONS:
            raise Finding(f"an undocumented reason: {fault}")
        said_well(fault.text)


def _seeds() -> Iterator[bytes]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as work:
        folder = Path(work)
        yield from (path.read_bytes() for path in _built(folder))


def _built(folder: Path) -> Iterator[Path]:
    rich = {
        "requires": ["a >= 2:1-1", "(b if c)", "/bin/sh"],
        "provides": ["p = 1", "q"],
        "changelog": rpms.changelog(3),
    }
    files = {f"/usr/share/hello/{number}": bytes([number]) * 40 for number in range(4)} | {"/usr/bin/hello": b"#!"}
    yield rpms.quick(folder, "hello", files=files, scriptlets={"post_install": "true"}, **rich)
    yield rpms.quick(folder, "six", fmt=6, files=files, **rich)
    for compression in ("zstd", "xz", "none"):
        yield rpms.quick(folder, f"p-{compression}", "1.0~rc1^git", epoch=3, arch="x86_64", compression=compression)
    yield rpms.quick(folder, "empty", files={}, reserved=0)
    yield rpms.nfpm(folder, "nf", contents={"/etc/a b": b"x", "/opt/ü": b"y"}, depends=["a >= 1.0", "b"])


@contextmanager
def _open(folder: Path) -> Iterator[Opened]:
    intake = Intake(folder, make_key("rsa2048"))
    yield Opened(run=intake.run, settle=intake.settle)


PACKAGES = Target(
    name="packages",
    what="RPM files: the intake, rpm -K, rpm -qp, whole generations",
    seeds=_seeds,
    mutate=package,
    open=_open,
    seconds=20,
    memory=1 << 30,
    contain=contained,
)
