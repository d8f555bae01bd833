"""What all pages have in common: who is let in, what may be asked, and the thread that makes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import HTTPException, Request, Response

from repod.errors import NotFound
from repod.office import Office, State, Waiting
from repod.web import veil
from repod.web.api.door import Door
from repod.web.gate import Visitor
from repod.web.pages import render

Waits = Callable[[str], Sequence[Waiting] | None]
"""What waits in the inbox of a repository; None where that is not known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One look at a page: who looks, what may be asked, and when."""

    office: Office
    waiting: Waits
    visitor: Visitor
    request: Request
    now: float

    @property
    def hides(self) -> bool:
        """Whether there is more for who signs in."""
        names = self.office.repositories
        everything = all(map(self.visitor.sees, names)) and all(map(self.visitor.names_hosts, names))
        return self.visitor.caller is None and not everything

    def states(self) -> list[State]:
        """The repositories that are shown to this visitor."""
        sees = self.visitor.sees
        return [veil.state(state, sees) for state in self.office.looks.states() if sees(state.repository)]

    def history(self, name: str, **words: Any) -> Sequence[Mapping[str, Any]]:
        """Generations of a repository as this visitor may see them; ``words`` as in ``Looks.history``."""
        return [veil.generation(row, self.visitor.sees) for row in self.office.looks.history(name, **words)]

    def state(self, name: str) -> State:
        """The repository of that name; ``NotFound`` where there is none."""
        found = next((state for state in self.states() if state.repository == name), None)
        if found is None:
            msg = f"there is no repository {name!r} here"
            raise NotFound(msg)
        return found

    def query(self, name: str) -> str:
        """A value of the query, without the spaces around it; empty where it is not there."""
        return self.request.query_params.get(name, "").strip()


Gather = Callable[[Asked], Mapping[str, Any]]
"""What a template shows, gathered; it may take a while."""


class Front:
    """Makes pages, by threads of ``door``."""

    def __init__(self, door: Door, waiting: Waits, clock: Callable[[], float]) -> None:
        """As ``make_pages``."""
        self.door = door
        self._waiting = waiting
        self._clock = clock

    async def asked(self, request: Request, repository: str = "") -> Asked:
        """Let a visitor in: to all that is shown to him, or to the one ``repository``; ``HTTPException`` else."""
        visitor = await self.door.gate.visitor(request)
        if visitor.rules.pages == "off":
            raise HTTPException(404)
        if repository:
            visitor.check(repository)
        return Asked(
            office=self.door.office(), waiting=self._waiting, visitor=visitor, request=request, now=self._clock()
        )

    async def show(self, request: Request, template: str, gather: Gather, repository: str = "") -> Response:
        """The page of that template with what ``gather`` finds."""
        asked = await self.asked(request, repository)
        return await self.door.desk.run(partial(self._made, asked, template, gather))

    def _made(self, asked: Asked, template: str, gather: Gather) -> Response:
        return self.page(asked, template, gather(asked))

    def page(self, asked: Asked, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
        """The page of that template; it takes a few milliseconds."""
        known = {"caller": str(asked.visitor.caller or ""), "hides": asked.hides, **values}
        return render.page(template, render.raw_path(asked.request), known, now=asked.now, status=status)
