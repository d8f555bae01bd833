"""The index of a repository, ``repomd.xml``, written by createrepo_c."""

from collections.abc import Sequence

import createrepo_c

from repod.generation import Document


def repomd(documents: Sequence[Document], revision: int) -> bytes:
    """``repomd.xml`` that names ``documents``; ``revision`` is the generation's number."""
    index = createrepo_c.Repomd()
    index.set_revision(str(revision))
    for document in documents:
        record = createrepo_c.RepomdRecord(document.type, None)
        record.location_href = document.href
        record.checksum, record.checksum_type = document.checksum, "sha256"
        record.checksum_open, record.checksum_open_type = document.open_checksum, "sha256"
        record.size, record.size_open = document.size, document.open_size
        record.timestamp = document.timestamp
        index.set_record(record)
    index.sort_records()
    return bytes(index.xml_dump().encode())
