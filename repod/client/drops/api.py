"""The daemon's HTTP API: it tells what became of what was sent as soon as that is known."""

from repod.client.api import Api
from repod.client.proving import opened
from repod.client.pushing import Fate, Parcel, Sent, Ticket


class ApiDrop:
    """``Drop`` into the inbox of a repository, through the daemon."""

    def __init__(self, api: Api, repository: str) -> None:
        """``api``: the daemon; who opened it closes it."""
        self._api = api
        self._repository = repository

    @property
    def place(self) -> str:
        """See ``Drop``."""
        return f"{self._api.url}/api/v1/repositories/{self._repository}/inbox/"

    def send(self, parcel: Parcel, sent: Sent) -> Ticket:
        """See ``Drop``."""
        told = 0

        def tell(done: int) -> None:
            nonlocal told
            sent(done - told)
            told = done

        with opened(parcel.path) as file:
            found = self._api.upload(self._repository, file, parcel.name, parcel.size, parcel.sha256, tell=tell)
        return Ticket(file=found.file or parcel.name, sha256=parcel.sha256, size=parcel.size)

    def fate(self, ticket: Ticket) -> Fate:
        """See ``Drop``."""
        found = self._api.arrival(self._repository, ticket.sha256)
        if found.state == "unknown":
            return Fate(state="waiting", why="the daemon has not seen it yet")
        return Fate(
            state=found.state,
            generation=found.generation,
            packages=tuple(found.packages),
            faults=tuple(found.faults),
            why=found.why,
        )
