"""What every route of the API goes through: who asks, what may be asked, and the threads that answer."""

from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import HTTPException, Path, Request

from repod.access import READ, Verb
from repod.office import By, Office
from repod.web.api.jobs import Jobs
from repod.web.desk import Desk
from repod.web.gate import Gate, offered
from repod.web.veil import Sees

_Result = TypeVar("_Result")

Name = Annotated[
    str,
    Path(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="The name of a repository."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """``office`` is asked for each request; ``desk`` has the threads for questions, ``jobs`` those for changes."""

    office: Callable[[], Office]
    gate: Gate
    desk: Desk
    jobs: Jobs

    async def reads(self, request: Request, name: Name) -> None:
        """For a route below ``/repositories/{name}``: the caller may read it, and it is there."""
        await self.gate.admit(request, READ, name)
        self.need(name)

    def need(self, name: str) -> None:
        """``HTTPException`` 404 where there is no such repository."""
        if name not in self.names():
            raise HTTPException(404, f"there is no repository {name!r} here")

    def names(self) -> Collection[str]:
        """The repositories that there are."""
        return self.office().repositories

    async def sight(self, request: Request) -> Sees:
        """Whether each repository is for who asks."""
        seen = {name for name in self.names() if await self.gate.lets(request, READ, name)}
        return seen.__contains__

    async def ask(self, work: Callable[[Office], _Result]) -> _Result:
        """What ``work`` returns, done by a thread."""
        office = self.office()
        return await self.desk.run(lambda: work(office))

    def changes(self, verb: Verb) -> Callable[..., Coroutine[Any, Any, By]]:
        """For a route that changes a repository: who asks for it."""
        gate, need = self.gate, self.need

        async def admitted(request: Request, name: Name) -> By:
            caller = await gate.admit_change(request, verb, name, host=request.path_params.get("host", ""))
            need(name)
            return By(actor=str(caller), address=offered(request).address)

        return admitted
