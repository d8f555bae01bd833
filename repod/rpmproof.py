"""Whether an RPM file is whole and as it was built, and which build it is: every digest in it is checked.

What the daemon lets in and what the client sends is proven by the same rules.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rpm_rs

from repod.doors import Unreadable
from repod.package import Fault, Nevra, Sha256, sha256
from repod.rpmhead import LEAD_MAGIC, LEAD_SIZE, head_size, payload_start, promised_size
from repod.rpmindex import index_fault

_PIECE = 1 << 20
_HEAD = 1 << 16
_OS_ERROR = re.compile(r"\(os error [0-9]+\)$")
_HASHES: Sequence[tuple[str, Callable[[], Any]]] = (
    ("PAYLOADSHA256", hashlib.sha256),
    ("PAYLOAD_SHA512", hashlib.sha512),
    ("PAYLOAD_SHA3_256", hashlib.sha3_256),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a whole file proved. ``header`` are the bytes of its main header; ``faults`` are of its digests.

    ``payload_sha256`` is the digest of the payload as it lies in the file.
    """

    metadata: rpm_rs.PackageMetadata
    nevra: Nevra
    header: bytes
    payload_sha256: Sha256
    faults: Sequence[Fault]

    @property
    def header_sha256(self) -> Sha256:
        """The digest of the main header, which survives signing."""
        return sha256(hashlib.sha256(self.header).hexdigest())


def prove(path: Path) -> Proof:
    """Check every digest of the file at ``path``. ``Unreadable`` where it is not a whole RPM."""
    metadata = _open(path, path.stat().st_size)
    offsets = metadata.package_segment_offsets()
    header = bytes(metadata.header_bytes())
    payload, faults = _payload_faults(path, metadata, offsets)
    faults += header_faults(metadata)
    faults += raw_faults(path, header, offsets)
    return Proof(
        metadata=metadata, nevra=nevra_of(metadata), header=header, payload_sha256=payload, faults=tuple(faults)
    )


def _open(path: Path, size: int) -> rpm_rs.PackageMetadata:
    with path.open("rb") as file:
        head = file.read(_HEAD)
        needed = head_size(head) or 0
        if len(head) < needed <= size:
            head += file.read(needed - len(head))
    if not head.startswith(LEAD_MAGIC):
        found = "an empty file" if not head else f"bytes {head[:12]!r}"
        raise Unreadable(Fault(code="not-rpm", text=f"not an RPM: expected the lead edabeedb, found {found}"))
    promised = promised_size(head)
    if promised is not None and size < promised:
        text = f"truncated: its header promises {promised} bytes, the file has {size}; upload it again"
        raise Unreadable(Fault(code="truncated", text=text))
    if promised is not None and size > promised:
        text = f"{size - promised} bytes follow the end that its header promises ({promised}); upload it again"
        raise Unreadable(Fault(code="digest", text=text))
    return metadata_of(path)


def is_of_machine(error: OSError) -> bool:
    """Whether it is the machine that failed, such as its disk, and not the file that is wrong.

    rpm-rs raises ``OSError`` for both, without an errno; where the machine failed, the text ends with its number.
    """
    return error.errno is not None or bool(_OS_ERROR.search(str(error)))


def metadata_of(path: Path) -> rpm_rs.PackageMetadata:
    """What the file says of itself; ``Unreadable`` where that cannot be read. Its payload is not looked at.

    The one way to rpm-rs: what it could not survive is refused before.
    """
    wrong = index_fault(_whole_head(path))
    if wrong:
        raise Unreadable(Fault(code="not-rpm", text=f"damaged header ({wrong}); upload it again"))
    try:
        return rpm_rs.PackageMetadata.open(str(path))
    except OSError as error:
        if is_of_machine(error):
            raise
        text = f"truncated inside its header ({error}); upload it again"
        raise Unreadable(Fault(code="truncated", text=text)) from error
    except (RuntimeError, ValueError) as error:
        text = f"damaged header ({str(error)[:160]}); upload it again"
        raise Unreadable(Fault(code="not-rpm", text=text)) from error


def _whole_head(path: Path) -> bytes:
    """The file up to where its payload begins, as far as it goes."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        while (needed := payload_start(head) or 0) > len(head):
            more = file.read(needed - len(head))
            if not more:
                text = f"truncated inside its header: expected {needed} bytes of it, found {len(head)}; upload it again"
                raise Unreadable(Fault(code="truncated", text=text))
            head += more
    return head


def nevra_of(metadata: rpm_rs.PackageMetadata) -> Nevra:
    """Which build it is; ``Unreadable`` where it does not say."""
    # The header of a source package names the machine that built it.
    name, version, release, arch = (tag(metadata, each) for each in ("NAME", "VERSION", "RELEASE", "ARCH"))
    if not all(isinstance(value, str) and value for value in (name, version, release, arch)):
        text = "its header lacks name, version, release or arch; rebuild the package"
        raise Unreadable(Fault(code="not-rpm", text=text))
    return Nevra(
        name=name,
        epoch=tag(metadata, "EPOCH") or 0,
        version=version,
        release=release,
        arch="src" if metadata.is_source_package() else arch,
    )


def tag(metadata: rpm_rs.PackageMetadata, name: str) -> Any:
    """The value of a tag of the main header, the first of several; None where it has none.

    ``Unreadable`` where it is a text and not UTF-8.
    """
    number = getattr(rpm_rs.Tag, name)
    if not metadata.header.entry_is_present(number):
        return None
    try:
        value = metadata.header.entry(number)
    except RuntimeError as error:  # its word for bytes that are no text
        text = f"{name.lower()} is not UTF-8; rebuild the package with clean UTF-8 text"
        raise Unreadable(Fault(code="text", text=text)) from error
    return value[0] if isinstance(value, list) and value else value


def header_faults(metadata: rpm_rs.PackageMetadata) -> list[Fault]:
    """Each digest of the header that does not match."""
    report = metadata.check_digests()
    faults = [
        Fault(code="digest", text=f"{name} digest does not match: the header was altered; upload it again")
        for name in ("header_sha1", "header_sha256", "header_sha3_256")
        if getattr(report, name).is_mismatch()
    ]
    known = (rpm_rs.SignatureTag.SHA1, rpm_rs.SignatureTag.SHA256)
    if not report.has_header_digest() or not _known_to_hosts(metadata, map(metadata.signature.entry_is_present, known)):
        faults.append(
            Fault(
                code="unverifiable",
                text="no digest of the header; expected SHA-256 (rpm 4.14 or newer adds it)",
            )
        )
    return faults


def _known_to_hosts(metadata: rpm_rs.PackageMetadata, present: Iterable[bool]) -> bool:
    """Whether one of the digests that rpm 4 knows is ``present``, where hosts read the package with rpm 4."""
    return metadata.header.entry_is_present(rpm_rs.Tag.RPMFORMAT) or any(present)


def raw_faults(path: Path, header: bytes, offsets: Any) -> list[Fault]:
    """rpm-rs writes the header anew and digests that: what it skipped in the file, rpm refuses."""
    with path.open("rb") as file:
        for start, magic in ((LEAD_SIZE, header[:8]), (offsets.header, header)):
            file.seek(start)
            if file.read(len(magic)) != magic:
                text = f"the header at byte {start} is not as it was built: it was altered; upload it again"
                return [Fault(code="digest", text=text)]
    return []


def _payload_faults(path: Path, metadata: rpm_rs.PackageMetadata, offsets: Any) -> tuple[Sha256, list[Fault]]:
    """Check every digest over the payload in one pass; also the SHA-256 of the payload."""
    wanted = {name: tag(metadata, name) for name, _ in _HASHES}
    hashers = {name: new() for name, new in _HASHES if name == "PAYLOADSHA256" or wanted[name]}
    sigmd5 = _sigmd5(metadata)
    md5 = _md5() if sigmd5 else None
    with path.open("rb") as file:
        file.seek(offsets.header)
        if md5:
            md5.update(file.read(offsets.payload - offsets.header))
        file.seek(offsets.payload)
        while piece := file.read(_PIECE):
            for hasher in hashers.values():
                hasher.update(piece)
            if md5:
                md5.update(piece)
    found = {name: hasher.hexdigest() for name, hasher in hashers.items()}
    faults = [
        Fault(code="digest", text=f"{name.lower()} does not match: expected {digest}, found {found[name]}")
        for name, digest in wanted.items()
        if digest and digest != found[name]
    ]
    if md5 and md5.hexdigest() != sigmd5:
        faults.append(Fault(code="digest", text=f"MD5 of header and payload does not match: expected {sigmd5}"))
    if not any(wanted.values()) or not _known_to_hosts(metadata, [bool(wanted["PAYLOADSHA256"])]):
        text = "not verifiable: no SHA-256 of the payload, at most MD5; rebuild it with rpm 4.14 or newer"
        faults.append(Fault(code="unverifiable", text=text))
    return sha256(found["PAYLOADSHA256"]), faults


def _sigmd5(metadata: rpm_rs.PackageMetadata) -> str:
    if not metadata.signature.entry_is_present(rpm_rs.SignatureTag.MD5):
        return ""
    return bytes(metadata.signature.entry(rpm_rs.SignatureTag.MD5)).hex()


def _md5() -> Any:
    try:
        return hashlib.md5(usedforsecurity=False)
    except ValueError:  # a FIPS build without MD5: the SHA-256 digests decide alone
        return None
