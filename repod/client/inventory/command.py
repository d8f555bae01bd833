"""Hosts that a program prints as JSON: a list of names, of objects, or of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from repod.client.fleet import Host
from repod.client.grouping import Member, Members
from repod.client.inventory.program import output
from repod.client.members import member
from repod.errors import Misconfigured

_LIST: TypeAdapter[Sequence[str | dict[str, Any]]] = TypeAdapter(list[str | dict[str, Any]])
_MEMBER = TypeAdapter(Member)
_SHOWN = 5
_SAMPLE = '["web1", {"name": "web2", "address": "10.0.0.2", "user": "admin", "port": 22, "facts": {}}]'


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """``command``, run in the folder of the settings."""

    group: Members
    folder: Path
    environ: Mapping[str, str]

    def hosts(self) -> Sequence[Host]:
        """All that it prints, in its order."""
        words = self.group.command
        printed = output(words, folder=self.folder, environ=self.environ, seconds=self.group.timeout)
        try:
            entries = _LIST.validate_json(printed)
        except ValidationError as error:
            told = error.errors()[0]
            msg = f"{' '.join(words)} printed no list of hosts: {told['msg']}; expected JSON such as {_SAMPLE}"
            raise Misconfigured(msg) from error
        members, faults = [], []
        for place, entry in enumerate(entries):
            try:
                members.append(_MEMBER.validate_python({"name": entry} if isinstance(entry, str) else entry))
            except ValidationError as error:
                faults += [_fault(" ".join(words), place, one) for one in error.errors()]
        if faults:
            raise Misconfigured(*faults[:_SHOWN])
        return [member(one, self.group) for one in members]


def _fault(shown: str, place: int, error: Mapping[str, Any]) -> str:
    """One line: where in the answer, and what was expected."""
    where = ", ".join([f"entry {place}", *map(str, error["loc"])])
    return f"{shown} printed no list of hosts: {where}: {error['msg']}; expected such as {_SAMPLE}"
