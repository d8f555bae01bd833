"""What changes for hosts, in words and as plain values."""

from collections.abc import Iterable
from typing import Any

from repod.comparison import KINDS, Comparison, Content, Lists
from repod.doors import Store
from repod.errors import Corrupt, NotFound
from repod.generation import Document, Generation
from repod.package import Package
from repod.repodata import updateinfo
from repod.repodata.listing import plain


def carried_sums(generation: Generation) -> dict[str, str]:
    """The checksum of each carried document by its type, as a ``Content`` has them."""
    return {kind: document.open_checksum for kind, document in generation.carried.items()}


def read_carried(store: Store, document: Document, view: str) -> bytes:
    """The plain text of a document of a kept generation; where the live view has lost it, from the frozen one."""
    try:
        return plain(store, document)
    except NotFound:
        return plain(store, document, view)


def content(store: Store, generation: Generation, packages: Iterable[Package]) -> Content:
    """What is compared of a generation that lists ``packages``; advisories that are not sound count as none."""
    document = generation.document(updateinfo.TYPE)
    try:
        advisories = updateinfo.texts(read_carried(store, document, generation.view)) if document else {}
    except (Corrupt, NotFound):
        advisories = {}
    return Content(packages=list(packages), documents=carried_sums(generation), advisories=advisories)


def summary(change: Comparison) -> dict[str, Any]:
    """A comparison for a machine."""
    steps: dict[str, Any] = {
        kind: [{"before": _nevra(step.before), "after": _nevra(step.after)} for step in change.of(kind)]
        for kind in KINDS
    }
    others = {"came": _nevras(change.came), "went": _nevras(change.went)}
    return steps | {
        "others": others,
        "advisories": _listed(change.advisories),
        "documents": _listed(change.documents),
    }


def _listed(lists: Lists) -> dict[str, list[str]]:
    return {"came": list(lists.came), "went": list(lists.went), "changed": list(lists.changed)}


def _nevra(package: Package | None) -> str | None:
    return str(package.nevra) if package else None


def _nevras(packages: Iterable[Package]) -> list[str]:
    return [str(package.nevra) for package in packages]
