"""The documents of a generation that is not committed yet: each stored while the others are made."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial

from repod.beside import beside, finished
from repod.claims import Claims
from repod.doors import Change, Draft, Piece, Repodata, Signer, Store
from repod.package import StorePath

Signed = tuple[Draft, bytes, bytes]
"""A draft whose documents are stored, and the signatures of its two indexes: the live one and the frozen one."""


class Drafting:
    """Makes and stores drafts of one repository."""

    def __init__(self, store: Store, repodata: Repodata, signer: Signer, claims: Claims, threads: Executor) -> None:
        """``threads``: what stores the pieces, and signs, beside each other."""
        self._store = store
        self._repodata = repodata
        self._signer = signer
        self._claims = claims
        self._threads = threads

    def store(self, change: Change, number: int, time: int, *, ask: bool, whole: bool = False) -> Signed:
        """The loaded generation plus the change as generation ``number``; ``whole`` as in ``Repodata.draft``.

        ``ask``: before anything is stored the store is asked whether the number is free; ``Claimed`` where it is not.
        """
        adding: dict[StorePath, Future[None]] = {}
        free = self._claims.free(number, ask=ask)

        def add(piece: Piece) -> None:
            source = adding.get(piece.source) if piece.source else None
            adding[piece.path] = self._threads.submit(self._add, piece, source, free)

        try:
            draft = self._repodata.draft(change, number, time, whole=whole, ready=add)
            indexes = (draft.repomd, draft.frozen_repomd)
            live, frozen = beside(self._threads, *(partial(self._signer.sign_index, index) for index in indexes))
        finally:
            finished(adding.values())  # what is being stored may lie in the cache alone
        for added in adding.values():
            added.result()
        return draft, live, frozen

    def _add(self, piece: Piece, source: Future[None] | None, free: Callable[[], None]) -> None:
        free()
        if source:
            source.result()  # a copy comes after what it copies
        if piece.source:
            self._store.copy(piece.source, piece.path, piece.checksum)
        else:
            self._store.add(piece.path, piece.parts, piece.checksum)
