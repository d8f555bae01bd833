"""The signatures of an RPM as its head shows them: by whom and when; nothing is verified here."""

import hashlib
from pathlib import Path

import rpm_rs

from repod.package import Head, Signature, sha256
from repod.rpmproof import metadata_of


def head(path: Path) -> Head:
    """What the file at ``path`` says, which may end where its payload begins. To be run in a worker process."""
    metadata = metadata_of(path)
    digest = hashlib.sha256(bytes(metadata.header_bytes())).hexdigest()
    return Head(header_sha256=sha256(digest), signatures=signatures(metadata))


def signatures(metadata: rpm_rs.PackageMetadata) -> tuple[Signature, ...]:
    """Every signature in the head of a package."""
    return tuple(
        Signature(
            key=(info.fingerprint or info.key_id or "").upper(),
            hash_algorithm=info.hash_algorithm or "",
            created=info.created or 0,
        )
        for info in metadata.signatures()
    )
