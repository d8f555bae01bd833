"""What happens to an RPM file inside a worker process: plain functions over a path.

Nothing here knows the pool, the store or a secret. A function may crash, hang or eat
memory: the process around it is disposable.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime  # pysequoia too needs it, and nothing can be imported once a file is there
from pathlib import Path
from typing import Any

import createrepo_c
import pysequoia
import rpm_rs
from lxml import etree

from repod.doors import Unreadable
from repod.package import Entry, Facts, Fault, Nevra, Package, Sha256, StorePath, sha256
from repod.rpmfile.header import features, modules, text_faults, unheld
from repod.rpmfile.placing import put
from repod.rpmfile.signatures import signatures
from repod.rpmproof import header_faults, is_of_machine, metadata_of, nevra_of, prove, raw_faults, tag

Answer = tuple[str, Any]
"""``("done", result)``, ``("unreadable", faults)`` or ``("unavailable", text)``."""

# rpm 4 looks at the first kind alone; the second is of old, over header and payload.
_HEADER_ONLY = (rpm_rs.SignatureTag.RSA, rpm_rs.SignatureTag.DSA)
_HEADER_AND_PAYLOAD = (rpm_rs.SignatureTag.PGP, rpm_rs.SignatureTag.GPG)
_NAMESPACES = 'xmlns="m" xmlns:rpm="r"'


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
        if isinstance(error, PermissionError) and not _is_private(error.filename, arguments):
            text = f"it made its reader ask for what no reader needs, and the kernel refused that ({error})"
        elif isinstance(error, OSError) and is_of_machine(error):
            return ("unavailable", f"the private copy cannot be worked on ({error}); see the disk of [state_dir]")
        else:
            text = f"it cannot be read ({type(error).__name__}: {str(error)[:160]}); rebuild the package"
        return ("unreadable", (Fault(code="reader", text=text),))


def _is_private(name: object, arguments: Sequence[object]) -> bool:
    """Whether a file is the copy that the task is about, or lies beside it."""
    beside = {argument.parent for argument in arguments if isinstance(argument, Path)}
    return isinstance(name, str | Path) and Path(name).parent in beside


def examine(path: Path, trusted: bytes) -> Facts:
    """Facts of the file at ``path``; signatures are checked with the armored certificates ``trusted``.

    Raises ``Unreadable`` where it is not a whole RPM. Faults of an RPM that can be read
    (a digest, a text) are in the facts.
    """
    proof = prove(path)
    faults = list(proof.faults)
    if not any(fault.code == "digest" for fault in faults):
        faults += _guard_text(proof.header)
    return _facts(proof.metadata, path.stat().st_size, proof.payload_sha256, faults, trusted)


def glance(path: Path, known: Package, trusted: bytes) -> Facts:
    """See ``Rpms.glance``."""
    metadata, faults = _head(path)
    said = tag(metadata, "PAYLOADSHA256")
    payload = sha256(said or hashlib.sha256(bytes(metadata.header_bytes())).hexdigest())
    return _facts(metadata, known.size, payload, faults, trusted)


def _facts(
    metadata: rpm_rs.PackageMetadata, size: int, payload: Sha256, faults: Sequence[Fault], trusted: bytes
) -> Facts:
    header = bytes(metadata.header_bytes())
    return Facts(
        nevra=nevra_of(metadata),
        size=size,
        header_sha256=sha256(hashlib.sha256(header).hexdigest()),
        payload_sha256=payload,
        source_rpm=tag(metadata, "SOURCERPM") or "",
        payload_compressor=tag(metadata, "PAYLOADCOMPRESSOR") or "gzip",
        signatures=signatures(metadata),
        signers=tuple(_signers(metadata, trusted)),
        file_digest=_file_digest(metadata),
        faults=tuple(faults),
        signable=header,
        rpm_format=6 if metadata.header.entry_is_present(rpm_rs.Tag.RPMFORMAT) else 4,
        features=_listed(features, header),
        unheld=_listed(unheld, header),
        module=next(iter(_listed(modules, header)), ""),
    )


def _listed(read: Callable[[bytes], Iterator[str]], header: bytes) -> Sequence[str]:
    """All that ``read`` finds in a header; nothing in a damaged one, which is a fault already."""
    try:
        return tuple(read(header))
    except ValueError:
        return ()


def _file_digest(metadata: rpm_rs.PackageMetadata) -> str:
    """Algorithm of the per-file digests; a package without the tag has MD5, one without files none."""
    number = tag(metadata, "FILEDIGESTALGO")
    if number is None:
        return "md5" if tag(metadata, "BASENAMES") is not None else ""
    return {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}.get(number, f"#{number}")


def _guard_text(header: bytes) -> list[Fault]:
    try:
        return list(text_faults(header))
    except ValueError as error:
        return [Fault(code="not-rpm", text=f"damaged header ({error}); rebuild the package")]


def _signers(metadata: rpm_rs.PackageMetadata, trusted: bytes) -> Iterator[str]:
    """Primary fingerprints of those certificates in ``trusted`` that signed the header, and could at that time."""
    if not metadata.signatures() or not trusted:
        return
    for certificate in pysequoia.Cert.split_bytes(trusted):
        report = metadata.check_signatures(rpm_rs.Verifier(str(certificate).encode()))
        verified = (result.info for result in report.signatures if result.is_verified())
        if any(_alive(certificate, datetime.fromtimestamp(made.created or 0, UTC)) for made in verified):
            yield certificate.fingerprint.upper()


def _alive(certificate: pysequoia.Cert, at: datetime) -> bool:
    """Whether a certificate is not revoked and, at that time, had not ended; rpm-rs looks at neither."""
    try:
        revoked, ends = certificate.is_revoked, certificate.expiration
    except RuntimeError:  # it has no self-signature that counts, so it says neither
        return True
    return not revoked and (ends is None or at < ends)


def seal(path: Path, signature: bytes | None, published: bytes, href: StorePath, changelogs: int) -> Entry:
    """Sign the private copy at ``path`` with a detached ``signature``, prove it, describe it.

    Any signature that was there is taken off first, so that there is one, ours.
    ``None`` leaves the file as it is; ``published`` is the armored certificate that hosts
    trust and must verify the result in either case.
    """
    if signature is not None:
        put(path, _proven(signature, bytes(metadata_of(path).header_bytes()), published))
    facts = examine(path, published)
    text = "; ".join(fault.text for fault in facts.faults) or _doubt(path, published)
    if text:
        # A signature that was proven and does not show is hidden by what else is in the file.
        code = "signing" if signature is None else "reader"
        raise Unreadable(Fault(code=code, text=f"not sound after signing: {text}; rebuild the package"))
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
    metadata = metadata_of(path)
    faults = header_faults(metadata)
    faults += raw_faults(path, bytes(metadata.header_bytes()), metadata.package_segment_offsets())
    return metadata, faults


def _proven(signature: bytes, header: bytes, published: bytes) -> bytes:
    """``signature``, if it is one over ``header``: what the signer made must not be held against the package."""
    try:
        made = pysequoia.Sig.from_bytes(signature)
        certificates = list(pysequoia.Cert.split_bytes(published))
        pysequoia.verify(bytes=header, store=lambda _: certificates, signature=made)
    except Exception as error:  # its kind says nothing
        text = f"the signer made no OpenPGP signature of it that our public key verifies ({str(error)[:160]})"
        raise Unreadable(Fault(code="signing", text=text)) from error
    return signature


def _doubt(path: Path, published: bytes) -> str:
    """Why a host that trusts ``published`` alone may refuse the file, whichever rpm it has; empty where none may.

    rpm-rs checks the signature for rpm 6, and the one for rpm 4 only where there is no other.
    """
    metadata = metadata_of(path)
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
