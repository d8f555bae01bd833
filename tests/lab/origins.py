"""A repository with a real key in a directory, published in milliseconds, that mirrors and attackers have copies of."""

import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from repod.config import Signing
from repod.doors import Change, Store
from repod.generation import Generation
from repod.hostfiles import write_host_files
from repod.publish import Publisher
from repod.repodata.engine import SegmentedRepodata
from repod.sealing import Seal
from repod.signing.opening import OpenSigner, open_signer
from repod.signing.openpgp import armor
from repod.signing.verify import verify_detached
from repod.stating import Statements
from repod.store.local import LocalStore
from repod.wiring import pause
from tests.lab.entries import made
from tests.lab.stated import VALID


def stating(store: Store, signer: OpenSigner, name: str = "apps", clock: Callable[[], float] = time.time) -> Statements:
    """What says what is current, as the daemon has it."""
    seal = Seal(
        repository=name,
        signer=signer,
        keys=[signer.fingerprint],
        armor=armor,
        proves=verify_detached,
        valid=VALID,
        clock=clock,
    )
    return Statements(seal, store)


class Origin:
    """``root`` is the store. Each ``daemon`` is a process of its own, as far as what it knows goes."""

    def __init__(self, root: Path, signer: OpenSigner, stack: ExitStack, name: str) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.store: Store = LocalStore(root)
        self.clock: Callable[[], float] = time.time
        self._name = name
        self._stack = stack
        self._numbers = itertools.count()
        self.signer = signer
        self.publisher = self.daemon()

    def daemon(self) -> Publisher:
        """Somebody who publishes, and knows of the past what the store says."""
        cache = self.root.parent / f"{self.root.name}-cache{next(self._numbers)}"
        repodata = self._stack.enter_context(closing(SegmentedRepodata(self.store, cache)))
        publisher = Publisher(
            store=self.store,
            url="http://repod.test/",
            repodata=repodata,
            signer=self.signer,
            armor=armor,
            clock=self.clock,
            pause=pause,
            statements=stating(self.store, self.signer, self._name, self.clock),
        )
        publisher.open("test")
        write_host_files(self.store, self._name, f"[{self._name}]\n", self.signer.published)
        return publisher

    def publish(self, nevra: str, publisher: Publisher | None = None) -> Generation:
        """The next generation."""
        package = made(nevra)
        self.store.add(package.package.href, [package.file], package.package.pkgid)
        change = Change(entries=[package.entry])
        return (publisher or self.publisher).publish(change, actor="test", why=nevra)

    def copied(self, target: Path) -> Path:
        """A copy of the store as it is, in the place of what is there."""
        if target.exists():
            shutil.rmtree(target)
        return Path(shutil.copytree(self.root, target))


@contextmanager
def signing(key_file: Path) -> Iterator[OpenSigner]:
    """What signs with the key in a file."""
    with closing(open_signer(Signing(key=str(key_file)), time.time(), os.environ, processes=1)) as signer:
        yield signer


@contextmanager
def origin(root: Path, signer: OpenSigner, name: str = "apps") -> Iterator[Origin]:
    """An origin, with an empty first generation where there is none yet; everything is closed in the end."""
    with ExitStack() as stack:
        yield Origin(root, signer, stack, name)
