"""What identifies a build, what it weighs against another, and what is known of it."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NewType

import rpm_rs

from repod.errors import shown
from repod.numerals import EPOCH, number

Sha256 = NewType("Sha256", str)
"""64 lower-case hexadecimal digits."""

StorePath = NewType("StorePath", str)
"""A proven relative path inside a store: UTF-8, no empty, ``.`` or ``..`` part, no NUL, no back-slash."""

Order = tuple[str, str, str, str, int]
"""Sort key of packages in metadata; equal for equal NEVRAs only."""

_HEX64 = re.compile(r"[0-9a-f]{64}")
# rpm's own rule for names (rpmbuild, rpmCharCheck) and for versions; '-' would break every
# parser of N-V-R, '/' every path.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
VERSION = re.compile(r"[A-Za-z0-9_.+~^]+")
ARCH = re.compile(r"[A-Za-z0-9_]+")
_NEVER_IN_PATHS = re.compile("[\0\\\\\ud800-\udfff]")
_NEVRA = re.compile(r"(?P<name>.+)-(?:(?P<epoch>[0-9]+):)?(?P<version>[^-:]+)-(?P<release>[^-]+)\.(?P<arch>[^-.]+)")


def is_rpm(name: str) -> bool:
    """Whether a file of that name is to be read as an RPM."""
    return name.endswith(".rpm")


def trace(checksum: str) -> str:
    """The id by which one arrival is followed through log, metrics, events and records: 32 hexadecimal digits.

    ``checksum``: the SHA-256 of the bytes that were uploaded, so ``sha256sum FILE | cut -c-32`` tells it too.
    """
    return checksum[:32]


def sha256(text: str) -> Sha256:
    """``text`` as a proven SHA-256; ``ValueError`` if it is not one."""
    if not isinstance(text, str) or not _HEX64.fullmatch(text):
        msg = f"not a SHA-256: {text!r}"
        raise ValueError(msg)
    return Sha256(text)


def digest(data: bytes) -> Sha256:
    """The SHA-256 of ``data``."""
    return Sha256(hashlib.sha256(data).hexdigest())


def store_path(text: str) -> StorePath:
    """``text`` as a proven store path; ``ValueError`` if it could leave the store."""
    climbs = not isinstance(text, str) or any(part in {"", ".", ".."} for part in text.split("/"))
    if climbs or _NEVER_IN_PATHS.search(text):
        msg = f"not a path inside a store: {text!r}"
        raise ValueError(msg)
    return StorePath(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nevra:
    """Name, epoch, version, release, arch: what identifies a build to a client.

    Two builds may rank equal (``1.0`` and ``1+0``) and still be different builds:
    compare identity by ``==``, rank by ``rank``.
    """

    name: str
    epoch: int
    version: str
    release: str
    arch: str

    def __str__(self) -> str:
        """``name-[epoch:]version-release.arch``, as dnf prints it."""
        return f"{self.name}-{self.evr}.{self.arch}"

    @property
    def evr(self) -> str:
        """``[epoch:]version-release``; an epoch of 0 is left out."""
        epoch = f"{self.epoch}:" if self.epoch else ""
        return f"{epoch}{self.version}-{self.release}"

    @property
    def rank(self) -> bytes:
        """Sort key by rpm's rule (rpmvercmp over epoch, version, release); bytes compare as ranks."""
        return bytes(rpm_rs.Evr(str(self.epoch), self.version, self.release).sortkey())

    @property
    def order(self) -> Order:
        """Key of the fixed order of packages in metadata: by name, then by any total order."""
        return (self.name, self.version, self.release, self.arch, self.epoch)

    @property
    def filename(self) -> str:
        """The file's name, by rpm's convention: without the epoch."""
        return f"{self.name}-{self.version}-{self.release}.{self.arch}.rpm"

    @property
    def location(self) -> StorePath:
        """Where the build lies in its store, made from the header alone."""
        return store_path(f"Packages/{self.name[0].lower()}/{self.filename}")

    @classmethod
    def of(cls, row: Any) -> "Nevra":
        """The NEVRA whose fields a stored record has; ``ValueError`` where it has others, or of another kind."""
        fields = row if isinstance(row, dict) else {}
        texts = [fields.get(field) for field in ("name", "version", "release", "arch")]
        epoch = fields.get("epoch")
        if len(fields) != 5 or not all(isinstance(text, str) and text for text in texts) or type(epoch) is not int:  # noqa: PLR2004
            msg = f"not a NEVRA: {row!r:.200}; expected name, epoch, version, release and arch"
            raise ValueError(msg)
        if not 0 <= epoch <= EPOCH:
            msg = f"not a NEVRA: {row!r:.200}; expected an epoch up to {EPOCH}"
            raise ValueError(msg)
        return cls(**fields)

    @classmethod
    def parse(cls, text: str) -> "Nevra":
        """The NEVRA written as ``name-[epoch:]version-release.arch``; ``ValueError`` if it is none."""
        match = _NEVRA.fullmatch(text)
        if match is None:
            msg = f"not a NEVRA: {text!r}; expected NAME-[EPOCH:]VERSION-RELEASE.ARCH"
            raise ValueError(msg)
        parts = match.groupdict()
        epoch = number(parts["epoch"] or "0", EPOCH)
        if epoch is None:
            msg = f"not a NEVRA: {text!r}; expected an epoch up to {EPOCH}"
            raise ValueError(msg)
        return cls(
            name=parts["name"],
            epoch=epoch,
            version=parts["version"],
            release=parts["release"],
            arch=parts["arch"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One reason why an arrival is refused. ``code`` is from the fixed set in ``REASONS``; ``text`` is ``shown``."""

    code: str
    text: str

    def __post_init__(self) -> None:
        """Whatever a stranger's file says, it is told in one line."""
        object.__setattr__(self, "text", shown(self.text))


REMEDIES: Mapping[str, str] = {
    "not-rpm": "Upload the RPM itself: this is another kind of file, or a damaged one.",
    "truncated": "Upload it again, under a name that ends in .part until it is whole, then rename it.",
    "digest": "Its bytes were altered after it was built: upload it again from where it was built, or rebuild it.",
    "unverifiable": "Rebuild it with an rpm that writes SHA-256 digests of header and payload.",
    "unsigned": "Sign it with a key that [repository.acceptance] signed_by names, and upload it again.",
    "signer": "Sign it with a key that [repository.acceptance] signed_by names, or add the key of its signer there.",
    "arch": "Upload it to a repository for its architecture, or add that to [[repository]] arches.",
    "source": "Upload it to a repository for source packages, or add 'src' to [[repository]] arches.",
    "name": "Rename the package in its spec file, or allow the name in [repository.acceptance] names.",
    "version": "Correct in its spec file the version that the reason names, and rebuild it.",
    "size": "Make it smaller, or raise the limit that the reason names.",
    "text": "Correct the text in its spec file to clean UTF-8 without control characters, and rebuild it.",
    "path": "Rebuild it with absolute paths in its file list, none of them with '..' in it.",
    "conflict": "Raise the Release (or Epoch) of the new build: a published NEVRA keeps its bytes.",
    "file-digest": "Rebuild it with SHA-256 file digests: %_binary_filedigest_algorithm 8.",
    "profile": "Rebuild it in a form that hosts of this repository can read, as the reason says.",
    "symlink": "Copy the file itself into the inbox: links are not followed.",
    "reader": "Upload it again; where that says the same, raise [workers] timeout or memory, or rebuild it.",
    "signing": "Sign it anew, or rebuild it, so that room is left for a signature; repod check proves the signing key.",
    "document": "Correct the document as the reason says, and upload it again.",
}
"""Every reason an arrival can be refused for, and what to do; metric labels come from here, so they stay few."""

REASONS: Sequence[str] = tuple(REMEDIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One OpenPGP signature found in an RPM, not verified.

    ``key`` is the issuer's fingerprint, or its key id. ``created`` is seconds since 1970, 0 where it does
    not say.
    """

    key: str
    hash_algorithm: str
    created: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the head of an RPM says of who signed it. ``header_sha256`` as in ``Facts``."""

    header_sha256: Sha256
    signatures: Sequence[Signature]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a package's own header says, and what its bytes prove.

    ``arch`` of ``nevra`` is ``src`` for a source package, whatever machine built it.
    ``header_sha256`` is the digest of the main header: it survives signing.
    ``payload_sha256`` is the digest of the compressed payload as it lies in the file.
    ``rpm_format`` is the version of the package format: 4, or 6 since rpm 6.
    ``signers`` are the primary fingerprints of those given certificates whose signature verified.
    ``file_digest`` is the algorithm of the digests per file, empty where there are no files.
    ``faults`` are those of the file itself (digests, text, paths), found while reading.
    ``signable`` are the bytes that a signature of the package is made over.
    ``features`` are what it needs of rpm itself, each with the version that brought it: ``LargeFiles 4.12.0-1``.
    ``unheld`` are relations that metadata could not hold or rpm not read, the first of a kind: ``requires (a if: why``.
    ``module`` is the build of a module that it says it belongs to; mostly empty.
    """

    nevra: Nevra
    size: int
    header_sha256: Sha256
    payload_sha256: Sha256
    source_rpm: str
    payload_compressor: str
    signatures: Sequence[Signature]
    signers: Sequence[str]
    file_digest: str
    faults: Sequence[Fault]
    signable: bytes
    rpm_format: int = 4
    features: Sequence[str] = ()
    unheld: Sequence[str] = ()
    module: str = ""

    @property
    def build(self) -> tuple[Sha256, Sha256]:
        """Header and payload digest: equal means the same build, whoever signed it."""
        return (self.header_sha256, self.payload_sha256)

    @property
    def apart(self) -> StorePath:
        """A path of its own in a store, for a build whose usual one is taken by other bytes."""
        folder, _, name = self.nevra.location.rpartition("/")
        return store_path(f"{folder}/{self.header_sha256[:16]}/{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package as a repository lists it. ``pkgid`` is the SHA-256 of the whole file."""

    nevra: Nevra
    pkgid: Sha256
    size: int
    href: StorePath


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a listed build came from.

    ``how`` is one of ``HOW``. ``of`` says it more closely: the name of the uploaded file, ``REPO@N`` for
    generation N of another repository, a URL, or ``N`` for a generation of its own repository.
    ``checksum`` is the SHA-256 of the bytes that came, before anything was signed; empty where unknown.
    """

    how: str
    of: str
    checksum: str = ""


HOW: Sequence[str] = ("arrival", "promotion", "adoption", "rollback", "resigning", "unknown")
"""The ways into a repository."""

UNKNOWN = Origin(how="unknown", of="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A package with its three metadata entries, as createrepo_c wrote them (UTF-8 XML), and its origin."""

    package: Package
    primary: bytes
    filelists: bytes
    other: bytes
    origin: Origin = UNKNOWN
