"""What happens to an RPM file inside a worker process: plain functions over a path.

Nothing here knows the pool, the store or a secret. A function may crash, hang or eat
memory: the process around it is disposable.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import createrepo_c
import pysequoia
import rpm_rs
from lxml import etree

from repod.doors import Unreadable
from repod.package import Entry, Facts, Fault, Nevra, Package, Sha256, StorePath, sha256
from repod.rpmfile.header import text_faults
from repod.rpmfile.placing import put
from repod.rpmfile.signatures import signatures
from repod.rpmhead import LEAD_MAGIC, LEAD_SIZE, head_size, promised_size

Answer = tuple[str, Any]
"""``("done", result)``, ``("unreadable", faults)`` or ``("unavailable", text)``."""

_PIECE = 1 << 20
_HEAD = 1 << 16
# rpm 4 looks at the first kind alone; the second is of old, over header and payload.
_HEADER_ONLY = (rpm_rs.SignatureTag.RSA, rpm_rs.SignatureTag.DSA)
_HEADER_AND_PAYLOAD = (rpm_rs.SignatureTag.PGP, rpm_rs.SignatureTag.GPG)
_NAMESPACES = 'xmlns="m" xmlns:rpm="r"'
_HASHES: Sequence[tuple[str, Callable[[], Any]]] = (
    ("PAYLOADSHA256", hashlib.sha256),
    ("PAYLOAD_SHA512", hashlib.sha512),
    ("PAYLOAD_SHA3_256", hashlib.sha3_256),
)


def answer(task: Callable[..., Any], *arguments: Any) -> Answer:
    """Run ``task`` and answer with plain data, whatever it meets.

    Only plain data crosses back to the parent: an exception that cannot be pickled would
    break the whole pool, and a panic of native code is no ordinary exception.
    """
    try:
        return ("done", task(*arguments))
    except Unreadable as error:
        return ("unreadable", tuple(error.faults))
    except MemoryError:
        text = "reading it needs more memory than [workers] memory allows"
        return ("unreadable", (Fault(code="reader", text=text),))
    except BaseException as error:  # noqa: BLE001 - see above
        # rpm-rs raises OSError for what is wrong inside a file too, but with no errno.
        if isinstance(error, OSError) and error.errno is not None:
            return ("unavailable", f"the private copy cannot be worked on ({error}); see the disk of [state_dir]")
        text = f"it cannot be read ({type(error).__name__}: {str(error)[:160]}); rebuild the package"
        return ("unreadable", (Fault(code="reader", text=text),))


def examine(path: Path, trusted: bytes) -> Facts:
    """Facts of the file at ``path``; signatures are checked with the armored certificates ``trusted``.

    Raises ``Unreadable`` where it is not a whole RPM. Faults of an RPM that can be read
    (a digest, a text) are in the facts.
    """
    size = path.stat().st_size
    metadata = _open(path, size)
    offsets = metadata.package_segment_offsets()
    header = bytes(metadata.header_bytes())
    payload, faults = _payload_faults(path, metadata, offsets)
    faults += _header_faults(metadata)
    faults += _raw_faults(path, header, offsets)
    if not any(fault.code == "digest" for fault in faults):
        faults += _guard_text(header)
    return _facts(metadata, size, payload, faults, trusted)


def glance(path: Path, known: Package, trusted: bytes) -> Facts:
    """See ``Rpms.glance``."""
    metadata, faults = _head(path)
    said = _tag(metadata, "PAYLOADSHA256")
    payload = sha256(said or hashlib.sha256(bytes(metadata.header_bytes())).hexdigest())
    return _facts(metadata, known.size, payload, faults, trusted)


def _facts(
    metadata: rpm_rs.PackageMetadata, size: int, payload: Sha256, faults: Sequence[Fault], trusted: bytes
) -> Facts:
    header = bytes(metadata.header_bytes())
    return Facts(
        nevra=_nevra(metadata),
        size=size,
        header_sha256=sha256(hashlib.sha256(header).hexdigest()),
        payload_sha256=payload,
        source_rpm=_tag(metadata, "SOURCERPM") or "",
        payload_compressor=_tag(metadata, "PAYLOADCOMPRESSOR") or "gzip",
        signatures=signatures(metadata),
        signers=tuple(_signers(metadata, trusted)),
        file_digest=_file_digest(metadata),
        faults=tuple(faults),
        signable=header,
        rpm_format=6 if metadata.header.entry_is_present(rpm_rs.Tag.RPMFORMAT) else 4,
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
    return _metadata(path)


def _metadata(path: Path) -> rpm_rs.PackageMetadata:
    try:
        return rpm_rs.PackageMetadata.open(str(path))
    except OSError as error:
        if error.errno is not None:
            raise
        text = f"truncated inside its header ({error}); upload it again"
        raise Unreadable(Fault(code="truncated", text=text)) from error
    except (RuntimeError, ValueError) as error:
        text = f"damaged header ({str(error)[:160]}); upload it again"
        raise Unreadable(Fault(code="not-rpm", text=text)) from error


def _nevra(metadata: rpm_rs.PackageMetadata) -> Nevra:
    # The header of a source package names the machine that built it.
    name, version, release, arch = (_tag(metadata, tag) for tag in ("NAME", "VERSION", "RELEASE", "ARCH"))
    if not all(isinstance(value, str) and value for value in (name, version, release, arch)):
        text = "its header lacks name, version, release or arch; rebuild the package"
        raise Unreadable(Fault(code="not-rpm", text=text))
    return Nevra(
        name=name,
        epoch=_tag(metadata, "EPOCH") or 0,
        version=version,
        release=release,
        arch="src" if metadata.is_source_package() else arch,
    )


def _tag(metadata: rpm_rs.PackageMetadata, name: str) -> Any:
    tag = getattr(rpm_rs.Tag, name)
    if not metadata.header.entry_is_present(tag):
        return None
    value = metadata.header.entry(tag)
    return value[0] if isinstance(value, list) and value else value


def _header_faults(metadata: rpm_rs.PackageMetadata) -> list[Fault]:
    report = metadata.check_digests()
    faults = [
        Fault(code="digest", text=f"{name} digest does not match: the header was altered; upload it again")
        for name in ("header_sha1", "header_sha256", "header_sha3_256")
        if getattr(report, name).is_mismatch()
    ]
    if not report.has_header_digest():
        faults.append(
            Fault(
                code="unverifiable",
                text="no digest of the header; expected SHA-256 (rpm 4.14 or newer adds it)",
            )
        )
    return faults


def _raw_faults(path: Path, header: bytes, offsets: Any) -> list[Fault]:
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
    wanted = {name: _tag(metadata, name) for name, _ in _HASHES}
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
    if not any(wanted.values()):
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


def _file_digest(metadata: rpm_rs.PackageMetadata) -> str:
    """Algorithm of the per-file digests; a package without the tag has MD5, one without files none."""
    number = _tag(metadata, "FILEDIGESTALGO")
    if number is None:
        return "md5" if _tag(metadata, "BASENAMES") is not None else ""
    return {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}.get(number, f"#{number}")


def _guard_text(header: bytes) -> list[Fault]:
    try:
        return list(text_faults(header))
    except ValueError as error:
        return [Fault(code="not-rpm", text=f"damaged header ({error}); rebuild the package")]


def _signers(metadata: rpm_rs.PackageMetadata, trusted: bytes) -> Iterator[str]:
    """Primary fingerprints of those certificates in ``trusted`` that signed the header."""
    if not metadata.signatures() or not trusted:
        return
    for certificate in pysequoia.Cert.split_bytes(trusted):
        report = metadata.check_signatures(rpm_rs.Verifier(str(certificate).encode()))
        if any(result.is_verified() for result in report.signatures):
            yield certificate.fingerprint.upper()


def seal(path: Path, signature: bytes | None, published: bytes, href: StorePath, changelogs: int) -> Entry:
    """Sign the private copy at ``path`` with a detached ``signature``, prove it, describe it.

    Any signature that was there is taken off first, so that there is one, ours.
    ``None`` leaves the file as it is; ``published`` is the armored certificate that hosts
    trust and must verify the result in either case.
    """
    if signature is not None:
        put(path, _proven(signature))
    facts = examine(path, published)
    text = "; ".join(fault.text for fault in facts.faults) or _doubt(path, published)
    if text:
        raise Unreadable(Fault(code="signing", text=f"not sound after signing: {text}"))
    return _entry(_described(path, href, changelogs), facts.nevra, href)


def describe(path: Path, known: Package | None, href: StorePath, changelogs: int) -> Entry:
    """See ``Rpms.describe``."""
    if known is None:
        facts = examine(path, b"")
        if facts.faults:
            raise Unreadable(*facts.faults)
        return _entry(_described(path, href, changelogs), facts.nevra, href)
    _, wrong = _head(path)
    if wrong:
        raise Unreadable(*wrong)
    package = _described(path, href, changelogs)
    package.pkgId, package.size_package = known.pkgid, known.size
    return _entry(package, known.nevra, href)


def _head(path: Path) -> tuple[rpm_rs.PackageMetadata, list[Fault]]:
    """The header of a file that may end where its payload begins, and what is wrong with it."""
    metadata = _metadata(path)
    faults = _header_faults(metadata)
    faults += _raw_faults(path, bytes(metadata.header_bytes()), metadata.package_segment_offsets())
    return metadata, faults


def _proven(signature: bytes) -> bytes:
    """``signature``, if it is one: what the signer made must not be held against the package."""
    try:
        pysequoia.Sig.from_bytes(signature)
    except Exception as error:  # its kind says nothing
        text = f"the signer made no OpenPGP signature ({str(error)[:160]})"
        raise Unreadable(Fault(code="signing", text=text)) from error
    return signature


def _doubt(path: Path, published: bytes) -> str:
    """Why a host that trusts ``published`` alone may refuse the file, whichever rpm it has; empty where none may.

    rpm-rs checks the signature for rpm 6, and the one for rpm 4 only where there is no other.
    """
    metadata = rpm_rs.PackageMetadata.open(str(path))
    certificates = list(pysequoia.Cert.split_bytes(published))
    reports = [metadata.check_signatures(rpm_rs.Verifier(str(each).encode())).signatures for each in certificates]
    if not any(results and all(result.is_verified() for result in results) for results in reports):
        return "its signature does not verify with our public key"
    if any(metadata.signature.entry_is_present(tag) for tag in _HEADER_AND_PAYLOAD):
        return "it has another signature, over header and payload"
    found = [bytes(metadata.signature.entry(t)) for t in _HEADER_ONLY if metadata.signature.entry_is_present(t)]
    if not found and not metadata.header.entry_is_present(rpm_rs.Tag.RPMFORMAT):
        return "it has no signature that rpm 4 would see"
    # Two bytes of a signature are checked by rpm and by no library here: both copies must have the same.
    if not set(found) <= set(metadata.raw_signatures()):
        return "its signatures for rpm 4 and rpm 6 differ"
    header = bytes(metadata.header_bytes())
    try:
        for each in found:
            signature = pysequoia.Sig.from_bytes(each)
            pysequoia.verify(bytes=header, store=lambda _: certificates, signature=signature)
    except Exception as error:  # noqa: BLE001 - its kind says nothing
        return f"its signature for rpm 4 does not verify with our public key ({str(error)[:60]})"
    return ""


def _described(path: Path, href: StorePath, changelogs: int) -> Any:
    """What createrepo_c reads from the file at ``path``."""
    try:
        package = createrepo_c.package_from_rpm(
            str(path), checksum_type=createrepo_c.SHA256, location_href=href, changelog_limit=changelogs
        )
    except OSError as error:  # its word for whatever librpm, and so every host, does not take
        text = f"rpm cannot read it ({str(error).rpartition(': ')[2]}); upload it again or rebuild the package"
        raise Unreadable(Fault(code="reader", text=text)) from error
    # Metadata are a function of the package alone: the file's own time is that of a copy.
    package.time_file = package.time_build
    return package


def _entry(package: Any, nevra: Nevra, href: StorePath) -> Entry:
    """The texts of ``package``, which must be ``nevra``, proven to be XML."""
    dumps = tuple(
        dump(package).strip().encode() + b"\n"
        for dump in (
            createrepo_c.xml_dump_primary,
            createrepo_c.xml_dump_filelists,
            createrepo_c.xml_dump_other,
        )
    )
    for text in dumps:
        _prove(text)
    described = Nevra(
        name=package.name,
        epoch=int(package.epoch or 0),
        version=package.version,
        release=package.release,
        arch=package.arch,
    )
    if described != nevra:
        text = f"two readers disagree on its header: {nevra} and {described}; rebuild the package"
        raise Unreadable(Fault(code="reader", text=text))
    return Entry(
        package=Package(nevra=nevra, pkgid=sha256(package.pkgId), size=package.size_package, href=href),
        primary=dumps[0],
        filelists=dumps[1],
        other=dumps[2],
    )


def _prove(text: bytes) -> None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    try:
        etree.fromstring(f"<m {_NAMESPACES}>".encode() + text + b"</m>", parser)
    except etree.XMLSyntaxError as error:
        fault = Fault(code="text", text=f"its metadata would not be XML ({error}); rebuild the package")
        raise Unreadable(fault) from error
