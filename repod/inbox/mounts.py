"""Which file system a directory lies on, and whether others may change it unseen."""

import os
import re
from pathlib import Path

_SHARED = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "9p", "lustre", "beegfs", "gpfs", "virtiofs"}


def shared_filesystem(directory: Path, mountinfo: Path) -> str:
    """The type of the directory's file system where other machines may write to it, else empty.

    ``mountinfo`` is in the form of ``/proc/self/mountinfo`` (proc(5)). Everything that a
    program of its own serves (``fuse.sshfs``, ``fuse.s3fs`` …) counts as shared.
    """
    try:
        text = mountinfo.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    kind = _type_of(os.path.realpath(directory), text)
    return kind if kind in _SHARED or kind.startswith("fuse.") else ""


def _type_of(path: str, mountinfo: str) -> str:
    """The type of the innermost mount; of several on one place the last covers the others."""
    best, kind = "", ""
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        words = fields.split(" ")
        if len(words) < 5 or not rest:  # noqa: PLR2004 - the mount point is the fifth field
            continue
        point = _plain(words[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, rest.split(" ")[0]
    return kind


def _plain(text: str) -> str:
    """Without the octal escapes of space, tab, line end and back-slash."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
