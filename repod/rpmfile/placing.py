"""Puts a signature into an RPM file, where its builder left room for one and where not."""

from pathlib import Path

import rpm_rs

from repod.rpmproof import metadata_of

_PIECE = 1 << 20


def put(path: Path, signature: bytes) -> None:
    """Put the detached ``signature`` into the file at ``path``, in place of any that is there."""
    if metadata_of(path).signatures():
        # rpm-rs's clear_signatures_in_place breaks the file where no space is reserved,
        # as in what nfpm signed: then the main header is no longer found.
        _rewrite(path, signature)
        return
    try:
        rpm_rs.Package.apply_signature_in_place(str(path), signature)
    except RuntimeError:  # the reserved space is too small or missing: nfpm leaves too little for RSA
        _rewrite(path, signature)


def _rewrite(path: Path, signature: bytes) -> None:
    """Give the file a new, larger signature header; only the head is ever held in memory."""
    start = metadata_of(path).package_segment_offsets().payload
    larger = path.with_name(path.name + ".signed")
    with path.open("rb") as old, larger.open("wb") as new:  # a process that was killed may have left it
        head = rpm_rs.Package.from_bytes(old.read(start))
        head.clear_signatures()
        head.apply_signature(signature)
        new.write(head.to_bytes())
        while piece := old.read(_PIECE):
            new.write(piece)
    larger.replace(path)
