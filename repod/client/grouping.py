"""Who is in a group: the part of ``[group.NAME]`` that says where its hosts come from, and ``[ssm]``."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic.dataclasses import dataclass

from repod.client.fleet import Way
from repod.client.places import LocalFile
from repod.values import S3Place, Seconds, Section

Source = Literal["hosts", "ansible", "ec2", "ssm", "command"]
Address = Literal["private-ip", "public-ip", "private-dns", "public-dns", "id"]

SOURCES: Sequence[Source] = ("hosts", "ansible", "ec2", "ssm", "command")

_ONLY_WITH: Mapping[str, Sequence[Source]] = {
    "pattern": ("ansible",),
    "address": ("ec2",),
    "name": ("ec2",),
    "region": ("ec2", "ssm"),
    "profile": ("ec2", "ssm"),
}


def _output_place(value: str) -> str:
    """``s3://BUCKET/PREFIX/``, or empty for none."""
    if not value:
        return ""
    found = S3Place.parse(value)
    if found is None:
        msg = f"expected s3://BUCKET/PREFIX/, found {value!r}"
        raise ValueError(msg)
    return str(found)


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Member:
    """A host as a list of them names it: in ``hosts``, and in what a command prints.

    ``address``: what is connected to; empty: ``name``. ``transport``: empty: that of the group.
    """

    name: Annotated[str, Field(min_length=1, max_length=253)]
    address: Annotated[str, Field(max_length=253)] = ""
    user: Annotated[str, Field(max_length=100)] = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    transport: Way | Literal[""] = ""
    facts: Mapping[str, str] = field(default_factory=dict)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _kind(value: object) -> str:
    return "text" if isinstance(value, str) else "table"


Entry = Annotated[Annotated[str, Tag("text")] | Annotated[Member, Tag("table")], Discriminator(_kind)]
"""An entry of ``hosts``."""

Values = Annotated[Sequence[str], BeforeValidator(_as_list), Field(min_length=1)]
Tags = Mapping[str, Values]
"""Filters as AWS names them, such as ``"tag:role" = "web"``; all must fit, of several values one."""


class Members(Section):
    """Where the hosts of a group come from: exactly one of ``SOURCES``. That there is none shows when it is asked.

    ``exclude``: shell patterns of names that are left out. ``timeout``: seconds that a source may take.
    ``allow_empty``: no host at all is fine; else it is an error, since nothing would be updated in silence.
    """

    transport: Way | Literal[""] = ""
    hosts: Sequence[Entry] = ()
    ansible: LocalFile = ""
    pattern: str = "all"
    ec2: Mapping[str, Values] = {}
    address: Address | Literal[""] = ""
    name: Literal["tag:Name", "id"] = "tag:Name"
    ssm: Mapping[str, Values] = {}
    region: str = ""
    profile: str = ""
    command: Sequence[str] = ()
    exclude: Sequence[str] = ()
    timeout: Annotated[Seconds, Field(gt=0)] = 60.0
    allow_empty: bool = False

    @property
    def source(self) -> Source | None:
        """Which one is set."""
        return next((one for one in SOURCES if getattr(self, one)), None)

    @property
    def way(self) -> Way:
        """How its hosts are reached where nothing else says it."""
        return self.transport or ("ssm" if self.ssm else "ssh")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [one for one in SOURCES if getattr(self, one)]
        if len(given) > 1:
            msg = f"expected one source of hosts, found {' and '.join(given)}; make a group of each"
            raise ValueError(msg)
        for key, sources in _ONLY_WITH.items():
            changed = getattr(self, key) != type(self).model_fields[key].default
            if changed and not set(sources) & set(given):
                msg = f"{key} belongs to {' or '.join(sources)}, found with {given[0] if given else 'no source'}"
                raise ValueError(msg)
        if self.ssm and self.way != "ssm":
            msg = f'hosts from ssm are reached by ssm, found transport = "{self.transport}"; for SSH use ec2'
            raise ValueError(msg)
        if self.ec2 and self.way == "ssm" and self.address not in {"", "id"}:
            msg = f'transport = "ssm" reaches instances by their id, found address = "{self.address}"; leave it out'
            raise ValueError(msg)
        return self


class Ssm(Section):
    """``[ssm]``: hosts reached through AWS Systems Manager.

    ``poll``: seconds between two looks at a command. ``deliver``: seconds in which an agent must have taken it up.
    ``output``: where in S3 outputs go that are longer than the 24,000 characters that SSM shows.
    """

    region: str = ""
    profile: str = ""
    poll: Annotated[Seconds, Field(ge=0.05, le=60)] = 1.0
    deliver: Annotated[Seconds, Field(ge=30, le=3600)] = 60.0
    output: Annotated[str, AfterValidator(_output_place)] = ""
