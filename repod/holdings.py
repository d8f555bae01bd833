"""The packages that a repository holds: each proven by the listing, by its own digests and by its signature."""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from repod.copies import private_copy
from repod.doors import Rpms, Store, Unreadable
from repod.errors import NotFound
from repod.finding import FAULT, NOTE, Finding, fault, note
from repod.package import Facts, Nevra, Package, StorePath

Tell = Callable[[str, int, int], object]
"""Hears what is being worked on, how many are done, and how many there are."""

MODULELESS = "dnf installs nothing together with it; put the *.modules.yaml of its module into the inbox"
"""What becomes of a package of a module where no document says so, and what to do."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_WINDOW = 32  # items handed out at a time, per thread: what is waited for stays few


def silent(_what: str, _done: int, _all: int) -> None:
    """Nobody wants to know how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A package and the newest generation that lists it, which is ``past`` where a newer one is current.

    ``adopted``: it was taken over as it was.
    """

    package: Package
    generation: int
    adopted: bool
    past: bool = False


class Holdings:
    """Reads stored packages: private copies, some at a time, in worker processes."""

    def __init__(
        self,
        *,
        store: Store,
        rpms: Rpms,
        published: bytes,
        workspace: Path,
        parallel: int,
    ) -> None:
        """``published`` are the certificates that hosts get; ``workspace`` is a private folder."""
        self._store = store
        self._rpms = rpms
        self._published = published
        self.workspace = workspace
        self._parallel = parallel

    def check(
        self, held: Mapping[StorePath, Held], tell: Tell = silent, modular: Collection[Nevra] | None = None
    ) -> Iterator[Finding]:
        """What is wrong with the packages, in the order of ``held``.

        ``modular`` are those that modules here name; None: not known, and nothing is said of that.
        """
        for done, findings in enumerate(self.each(partial(self._check, modular=modular), held.values())):
            tell("packages", done, len(held))
            yield from findings

    def check_unlisted(self, paths: Iterable[StorePath], listing: Mapping[Nevra, Package]) -> Iterator[Finding]:
        """A line for each stored file that nothing lists; one that has a listed NEVRA names both paths."""

        def look(path: StorePath) -> Finding | None:
            try:
                with self.copy(path) as (copy, _):
                    nevra = self._rpms.examine(copy, b"").nevra
            except NotFound:
                return None
            except Unreadable as error:
                return note("stray", path, f"not listed by any kept generation, and no package: {error}")
            other = listing.get(nevra)
            if other is None:
                text = f"not listed by any kept generation: {nevra}; it may be on its way, else remove it"
                return note("stray", path, text)
            text = f"a second file of {nevra}, which is listed as {other.href}: that one counts, hosts never see this"
            return note("stray", path, f"{text}; remove it")

        yield from (finding for finding in self.each(look, paths) if finding)

    def each(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """The results of ``work`` in the order of ``items``, some at a time."""
        left = iter(items)
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="holdings") as threads:
            while window := list(itertools.islice(left, self._parallel * _WINDOW)):
                yield from threads.map(work, window)

    def examine(self, copy: Path) -> tuple[Facts, bool]:
        """The facts of a private copy, and whether a published key signed it."""
        facts = self._rpms.examine(copy, self._published)
        return facts, bool(facts.signers)

    def copy(self, path: StorePath) -> AbstractContextManager[tuple[Path, str]]:
        """A private copy of a stored object, and its SHA-256."""
        return private_copy(self._store, path, self.workspace)

    def _check(self, held: Held, *, modular: Collection[Nevra] | None) -> list[Finding]:
        package = held.package
        try:
            with self.copy(package.href) as (copy, digest):
                size = copy.stat().st_size
                if (digest, size) != (package.pkgid, package.size):
                    text = f"altered: expected {package.size} bytes, sha256 {package.pkgid}; found {size}, {digest}"
                    return [fault("package", package.href, f"{text}; restore it from a copy")]
                facts, ours = self.examine(copy)
        except NotFound:
            text = f"listed by generation {held.generation} but missing; restore it from a copy"
            return [fault("package", package.href, text)]
        except Unreadable as error:
            return [fault("package", package.href, f"published as it is, and hosts refuse it: {error}")]
        findings = list(self._doubts(held, facts, ours=ours))
        if modular is not None and facts.module and not held.past and facts.nevra not in modular:
            text = f"it belongs to the module {facts.module}, and no document of modules here names it: {MODULELESS}"
            findings.append(note("package", package.href, text))
        return findings

    def _doubts(self, held: Held, facts: Facts, *, ours: bool) -> Iterator[Finding]:
        package = held.package
        if facts.nevra != package.nevra:
            yield fault("package", package.href, f"it is {facts.nevra}, listed as {package.nevra}")
        for one in facts.faults:
            yield fault("package", package.href, f"published as it is, and hosts refuse it: {one.text}")
        if ours:
            return
        keys = ", ".join(dict.fromkeys(one.key for one in facts.signatures))
        text = f"signed by {keys} only, not by a published key" if keys else "not signed"
        # What repod published itself it had signed with its key of then: hosts that trust the key of now refuse it.
        # What was adopted as it was, was so before; a person decided that.
        # What only older generations list, hosts meet after a rollback to one of them.
        severity = NOTE if held.adopted or held.past else FAULT
        remedy = f"after a rollback to generation {held.generation}, " if held.past else ""
        text += f": hosts with gpgcheck=1 refuse it; {remedy}sign it anew: repod resign REPO"
        yield Finding(severity=severity, path=package.href, text=text, what="package")
