"""What packages require of each other and of the bases of their hosts: stored documents put before libsolv."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol

from repod.config import Repository, Settings
from repod.confinement.bounds import Bounds
from repod.doors import Need, Store
from repod.generation import Generation
from repod.history import History
from repod.package import Entry, Nevra
from repod.places import open_store
from repod.relating import Plain
from repod.relations.pool import RelationWorker
from repod.relations.worker import Asked
from repod.repodata import listing, text
from repod.repodata.foreign import open_texts
from repod.scratch import discard, scratch, writing
from repod.source import Pause, open_source

_PRIMARY, _FILELISTS = text.KINDS[:2]


class _Texts(Protocol):
    """The documents of one repository as plain texts."""

    def plain(self, *, filelists: bool) -> Plain:
        """With ``filelists`` or without; each is read when it is first asked for."""


class _Stored:
    """The documents of a generation, from its store."""

    def __init__(self, name: str, store: Store, generation: Generation, folder: Path) -> None:
        self.generation = generation
        self._name, self._store, self._folder = name, store, folder

    def plain(self, *, filelists: bool) -> Plain:
        more = self._text(_FILELISTS) if filelists else None
        return Plain(name=self._name, primary=self._text(_PRIMARY), filelists=more)

    def forget(self) -> None:
        """Make room: another generation is asked about."""
        for path in self._folder.glob(f"*-{self.generation.number}.xml"):
            discard(path)

    def _text(self, kind: str) -> Path:
        path = self._folder / f"{kind}-{self.generation.number}.xml"
        if not path.exists():
            document = self.generation.documents[text.KINDS.index(kind)]
            _write(path, listing.texts(self._store, document, document.href))
        return path


class _Fetched:
    """The documents of any repository at a directory or URL."""

    def __init__(self, name: str, text_of: Callable[[str], Path]) -> None:
        self._name, self._text_of = name, text_of

    def plain(self, *, filelists: bool) -> Plain:
        more = self._text_of(_FILELISTS) if filelists else None
        return Plain(name=self._name, primary=self._text_of(_PRIMARY), filelists=more)


class Related:
    """See ``Relations``. For one thread at a time."""

    def __init__(
        self,
        *,
        repository: Repository,
        store: Store,
        worker: RelationWorker,
        folder: Path,
        bases: Callable[[], Sequence[_Texts]],
    ) -> None:
        """``folder`` is private; ``bases`` opens the repositories that hosts have beside this one."""
        self._repository = repository
        self._store = store
        self._worker = worker
        self._folder = folder
        self._bases = bases
        self._asked: _Stored | None = None

    def broken(self, generation: Generation, going: Collection[Nevra]) -> Sequence[Need]:
        """See ``Relations.broken``. The documents of the generation asked about last are kept."""
        if not going:
            return []
        texts = self._texts(generation)
        return self._answer(lambda whole: self._worker.broken(texts.plain(filelists=whole), going)).needs

    def unmet(self, generation: Generation | None, coming: Sequence[Entry]) -> Mapping[Nevra, Sequence[str]]:
        """See ``Relations.unmet``."""
        if not coming:
            return {}
        beside = [*([self._texts(generation)] if generation else []), *self._bases()]
        with scratch(self._folder) as folder:
            new = _written(folder, coming)
            return self._answer(
                lambda whole: self._worker.unmet(
                    [one.plain(filelists=whole) for one in beside], new, self._repository.arches
                )
            ).unmet

    def _answer(self, ask: Callable[[bool], Asked]) -> Asked:
        """Filelists are many times as long as primary, and asked only where something needs a path of theirs."""
        answer = ask(False)  # noqa: FBT003 - its only argument
        return ask(True) if answer.paths else answer  # noqa: FBT003

    def _texts(self, generation: Generation) -> _Stored:
        if self._asked is None or self._asked.generation != generation:
            if self._asked:
                self._asked.forget()
            self._asked = _Stored(self._repository.name, self._store, generation, self._folder)
        return self._asked


@contextmanager
def open_relations(
    settings: Settings, repository: Repository, store: Store, workspace: Path, pause: Pause
) -> Iterator[Related]:
    """The relations of a repository; ``workspace`` holds their texts as long, a process begins when first asked."""
    with ExitStack() as stack:
        folder = stack.enter_context(scratch(workspace))
        bounds = Bounds(reads=[workspace], memory=settings.workers.memory, mode=settings.workers.confine)
        worker = RelationWorker(timeout=settings.workers.timeout, bounds=bounds)
        stack.enter_context(closing(worker))

        def bases() -> list[_Texts]:
            opened = (
                _base(settings, name, _made(folder / f"base{number}"), pause, stack)
                for number, name in enumerate(repository.promotion.bases)
            )
            return [one for one in opened if one]

        yield Related(repository=repository, store=store, worker=worker, folder=folder, bases=bases)


def _base(settings: Settings, name: str, folder: Path, pause: Pause, stack: ExitStack) -> _Texts | None:
    """A base by its name in the settings, its directory or URL; None where nothing is published there yet."""
    ours = next((one for one in settings.repository if one.name == name), None)
    if ours is None:
        source = stack.enter_context(open_source(name, pause, settings.s3))
        return _Fetched(source.name, open_texts(source, folder))
    store = open_store(settings, ours)
    generation = History(store).current()
    return _Stored(name, store, generation, folder) if generation else None


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _written(folder: Path, entries: Sequence[Entry]) -> Plain:
    """Documents of ``entries`` alone."""
    paths = {kind: folder / f"{kind}.xml" for kind in (_PRIMARY, _FILELISTS)}
    for kind, path in paths.items():
        rows = (entry.primary if kind == _PRIMARY else entry.filelists for entry in entries)
        _write(path, [text.head(kind, len(entries)), *rows, text.tail(kind)])
    return Plain(name="coming", primary=paths[_PRIMARY], filelists=paths[_FILELISTS])


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    """A file that is whole or not there."""
    partial = path.with_suffix(".partial")
    with writing(path.parent), partial.open("wb") as file:
        file.writelines(pieces)
    partial.replace(path)
