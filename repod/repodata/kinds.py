"""Which uploaded files are documents that a repository carries, by their names alone."""

import re

from repod.repodata.unpack import plain_name

LIMIT = 256 << 20
"""Bytes of a document, unpacked: several times the advisories of the largest distributions."""

GROUP, MODULES, UPDATEINFO = "group", "modules", "updateinfo"
"""Records of repomd."""

ADVISORY = "advisory"
"""The kind of a file that holds one advisory."""

_FILES = (
    (GROUP, re.compile(r"(?:.*[-.])?comps\.xml", re.IGNORECASE)),
    (MODULES, re.compile(r"(?:.*[-.])?modules\.yaml|.*\.modulemd\.yaml", re.IGNORECASE)),
    (UPDATEINFO, re.compile(r"(?:.*[-.])?updateinfo\.xml", re.IGNORECASE)),
    (ADVISORY, re.compile(r".+\.(?:toml|json)", re.IGNORECASE)),
)


def kind(name: str) -> str:
    """What an uploaded file is, by its name: a record of repomd or ``ADVISORY``; empty where it is no document."""
    plain = plain_name(name.rpartition("/")[2])
    return next((kind for kind, form in _FILES if form.fullmatch(plain)), "")
