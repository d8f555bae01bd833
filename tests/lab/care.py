"""Audit, repair and rebuild of a site, with packages that are lines of text."""

import functools
import hashlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from repod.audit import Audit, Known
from repod.doors import Repodata, Store, Unreadable
from repod.finding import Finding
from repod.holdings import Holdings
from repod.hostfiles import host_files, write_host_files
from repod.package import Entry, Facts, Fault, Nevra, Package, Signature, StorePath, sha256
from repod.publish import Publisher
from repod.rebuild import Rebuild, Rebuilt
from repod.repair import Repair
from repod.repodata.engine import SegmentedRepodata
from repod.repodata.strictreader import StrictDocuments
from repod.stating import Statements
from repod.views import Views
from tests.lab.entries import described
from tests.lab.fakes import MacSigner, armor, dearmor, verifies
from tests.lab.inline import inline
from tests.lab.site import URL, Site
from tests.lab.stated import statements

_NAME = "site"


class LineRpms:
    """``Rpms`` over the "files" of ``tests.lab.entries``: a NEVRA, and words.

    ``fault=CODE`` among the words is a fault of the file; ``key=K`` says that K alone signed it.
    ``odd``: it describes packages otherwise than they were described.
    """

    def __init__(self) -> None:
        self.read = 0
        self.odd = False

    def examine(self, path: Path, trusted: bytes) -> Facts:
        """See ``Rpms.examine``."""
        data = path.read_bytes()
        self.read += len(data)
        try:
            nevra, *words = data.decode().split()
            parsed = Nevra.parse(nevra)
        except ValueError as error:
            raise Unreadable(Fault(code="not-rpm", text=f"not an RPM: {data[:9]!r}")) from error
        ours = trusted.split()[1].decode() if trusted else ""
        keys = [word.removeprefix("key=") for word in words if word.startswith("key=")] or [ours]
        return Facts(
            nevra=parsed,
            size=len(data),
            header_sha256=sha256(hashlib.sha256(data).hexdigest()),
            payload_sha256=sha256(hashlib.sha256(data).hexdigest()),
            source_rpm="",
            payload_compressor="gzip",
            signatures=tuple(Signature(key=key, hash_algorithm="SHA256") for key in keys if key != "none"),
            signers=tuple(key for key in keys if key == ours),
            file_digest="sha256",
            faults=tuple(
                Fault(code=word.removeprefix("fault="), text=f"something about {word}")
                for word in words
                if word.startswith("fault=")
            ),
            signable=data,
        )

    def glance(self, path: Path, known: Package, trusted: bytes) -> Facts:
        """See ``Rpms.glance``: such a "file" is no longer than its beginning."""
        del known
        return self.examine(path, trusted)

    def seal(self, path: Path, signature: bytes | None, published: bytes, href: StorePath, changelogs: int) -> Entry:
        """See ``Rpms.seal``: whoever looks after a repository must not change a package."""
        del signature, published, changelogs
        msg = f"{path} was to be sealed as {href}"
        raise AssertionError(msg)

    def describe(self, path: Path, known: Package | None, href: StorePath, changelogs: int) -> Entry:
        """See ``Rpms.describe``."""
        del known, changelogs  # such a "file" is no longer than its beginning
        entry = described(self.examine(path, b"").nevra, path.read_bytes(), href).entry
        return replace(entry, primary=entry.primary.replace(b"MIT", b"Other")) if self.odd else entry


class Care:
    """Who looks after a site, over ``store``; ``cache`` is the daemon's, by its name in the site's folder."""

    def __init__(self, site: Site, folder: Path, store: Store | None = None, signer: MacSigner | None = None) -> None:
        self.site = site
        self.store = store or site.inner
        self.signer = signer or site.signer
        self.rpms = LineRpms()
        self.cache = folder / "none"
        self._folder = folder
        self._numbers = itertools.count()
        self._files = (_NAME, f"[{_NAME}]\n", self.signer.public_key)
        folder.mkdir(exist_ok=True)

    def write_host_files(self) -> None:
        """As a daemon does at its start."""
        write_host_files(self.store, *self._files)

    def audit(self) -> Audit:
        """What verifies it."""
        return Audit(
            store=self.store,
            documents=StrictDocuments(self.store),
            holdings=self._holdings(),
            known=Known(
                url=URL,
                host_files=host_files(*self._files),
                verify_signature=lambda data, signed: verifies(self.signer.public_key, data, dearmor(signed)),
                statements=self._statements(),
            ),
            clock=self.site.clock,
            pause=self.site.pause,
        )

    def findings(self) -> list[Finding]:
        """Everything that is wrong."""
        return list(self.audit().verify())

    def rebuilder(self) -> Rebuild:
        """What rebuilds it."""
        return Rebuild(
            store=self.store,
            documents=StrictDocuments(self.store),
            rpms=self.rpms,
            holdings=self._holdings(),
            scratch=lambda: self._opened(self._folder / f"scratch{next(self._numbers)}"),
            publisher=self._publisher,
            changelogs=10,
        )

    def rebuild(self, *, drop: bool = False) -> Rebuilt:
        """Rebuild it; no private copy may be left."""
        done = self.rebuilder().run(drop=drop)
        assert list(self._folder.glob("*.rpm")) == []
        return done

    def repair(self) -> list[Finding]:
        """Mend what the audit of its structure finds; what was done."""
        repair = Repair(
            store=self.store,
            views=Views(self.store, URL, self.site.pause, statements=self._statements()),
            cached=functools.partial(self._opened, self.cache),
            rebuild=self.rebuilder(),
            write_host_files=self.write_host_files,
        )
        return list(repair.mend(list(self.audit().structure())))

    def _statements(self) -> Statements:
        return statements(self.store, self.signer, self.site.clock)

    def _holdings(self) -> Holdings:
        return Holdings(
            store=self.store,
            rpms=self.rpms,
            published=self.signer.published,
            workspace=self._folder,
            parallel=2,
        )

    def _publisher(self, repodata: Repodata) -> Publisher:
        return Publisher(
            store=self.store,
            url=URL,
            repodata=repodata,
            signer=self.signer,
            armor=armor,
            clock=self.site.clock,
            pause=self.site.pause,
            statements=self._statements(),
            threads=inline,
        )

    @contextmanager
    def _opened(self, folder: Path) -> Iterator[SegmentedRepodata]:
        engine = SegmentedRepodata(self.store, folder, threads=inline)
        try:
            yield engine
        finally:
            engine.close()
