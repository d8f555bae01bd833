"""Records of generations made by hand, for what needs no documents."""

from collections.abc import Sequence

from repod.generation import Document, Generation
from repod.package import Origin, Package, Sha256, StorePath

NOTHING = Document(
    type="primary",
    href=StorePath("repodata/x"),
    checksum=Sha256("0" * 64),
    size=0,
    open_checksum=Sha256("0" * 64),
    open_size=0,
    timestamp=0,
)


def record(
    number: int,
    added: Sequence[Package] = (),
    removed: Sequence[Package] = (),
    origins: Sequence[Origin] = (),
    *,
    actor: str = "anna",
) -> Generation:
    """Generation ``number``, made at second 100 times that, without documents."""
    return Generation(
        number=number,
        parent=number - 1,
        time=100 * number,
        actor=actor,
        why=f"why {number}",
        packages=1,
        added=added,
        removed=removed,
        documents=(),
        frozen=NOTHING,
        repomd="",
        signature="",
        frozen_repomd="",
        frozen_signature="",
        origins=origins,
    )
