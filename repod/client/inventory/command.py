"""Hosts that a program prints as JSON: a list of names, of objects, or of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from repod.client.fleet import Host
from repod.client.grouping import Member, Members
from repod.client.inventory.program import output
from repod.client.members import member
from repod.errors import Misconfigured

_PRINTED: TypeAdapter[Sequence[str | Member]] = TypeAdapter(list[str | Member])
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """``command``, run in the folder of the settings."""

    group: Members
    folder: Path
    environ: Mapping[str, str]

    def hosts(self) -> Sequence[Host]:
        """All that it prints, in its order."""
        words = self.group.command or ()
        printed = output(words, folder=self.folder, environ=self.environ, seconds=self.group.timeout)
        try:
            found = _PRINTED.validate_json(printed)
        except ValidationError as error:
            raise Misconfigured(*(_fault(" ".join(words), one) for one in error.errors()[:_SHOWN])) from error
        members = [Member(name=one) if isinstance(one, str) and one else one for one in found]
        return [member(one, self.group) for one in members if isinstance(one, Member)]


def _fault(shown: str, error: Mapping[str, object]) -> str:
    """One line: where in the answer, and what was expected."""
    place = [str(one) for one in error["loc"] if one not in {"str", "Member"}]  # type: ignore[attr-defined]
    where = f"entry {place[0]}{''.join(f', {one}' for one in place[1:])}: " if place else ""
    return (
        f"{shown} printed no list of hosts: {where}{error['msg']}; expected JSON such as "
        '["web1", {"name": "web2", "address": "10.0.0.2", "user": "admin", "port": 22, "facts": {}}]'
    )
