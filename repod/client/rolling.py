"""How hosts of a group are updated: the table ``[group.NAME.rollout]``."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from repod.values import Seconds, Section

_COUNT = re.compile(r"[0-9]{1,6}|(?:[0-9]{1,2}|100)%")
_EXPECT = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*(-?[0-9]+(?:\.[0-9]+)?(?:[eE]-?[0-9]+)?)\s*")
_MOST_AT_ONCE = 1000

OnFailure = Literal["stop", "downgrade"]
Downgrade = Literal["failed", "all"]
Restart = Literal["none", "report", "services", "reboot"]

Argv = Sequence[str]


def _count(value: object) -> object:
    """A number of hosts or a share of them, ``"10%"``; as text."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _COUNT.fullmatch(text):
        msg = f"expected a number of hosts such as 5, or a share such as '25%' (at most 100%), found {value!r}"
        raise ValueError(msg)
    return text


def _wave(value: str) -> str:
    if not int(value.removesuffix("%")):
        msg = f"expected a wave of at least one host, found {value!r}"
        raise ValueError(msg)
    return value


def _argv(value: object) -> object:
    """A command: its words, or one text for ``sh``; as words."""
    if value == "":
        msg = "expected a command, found an empty text"
        raise ValueError(msg)
    return ["sh", "-c", value] if isinstance(value, str) else value


def _template(value: str) -> str:
    """A URL with ``{host}`` or ``{address}`` in it, empty for none."""
    if not value:
        return value
    filled = fill(value, host="h", address="h")
    try:
        parts = urlsplit(filled)
        _ = parts.port
    except ValueError as error:
        msg = f"expected a URL such as 'http://{{address}}:8080/health', found {value!r} ({error})"
        raise ValueError(msg) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or "{" in filled or filled == value:
        example = "'http://{address}:8080/health'"
        msg = f"expected a URL with {{host}} or {{address}} in it, such as {example}, found {value!r}"
        raise ValueError(msg)
    return value


def fill(template: str, *, host: str, address: str) -> str:
    """The URL of one host. An IPv6 address is put in brackets, as URLs have it."""
    bracketed = f"[{address}]" if ":" in address else address
    return template.replace("{host}", host).replace("{address}", bracketed)


def _expect(value: str) -> str:
    if not _EXPECT.fullmatch(value):
        msg = f"expected a comparison such as '< 0.01' (one of < <= > >= == !=, then a number), found {value!r}"
        raise ValueError(msg)
    return value


def fits(expect: str, number: float) -> bool:
    """Whether a number is as ``expect`` says; not a number never is."""
    match = _EXPECT.fullmatch(expect)
    if match is None or number != number:  # noqa: PLR0124 - NaN
        return False
    limit = float(match[2])
    return {
        "<": number < limit,
        "<=": number <= limit,
        ">": number > limit,
        ">=": number >= limit,
        "==": number == limit,
        "!=": number != limit,
    }[match[1]]


Count = Annotated[str, BeforeValidator(_count)]
Service = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@:\\-]*$", max_length=200)]
Command = Annotated[Argv, BeforeValidator(_argv), Field(min_length=1, max_length=200)]


class Query(Section):
    """A question to Prometheus that is asked after each wave.

    ``url``: the server, without ``/api``. ``expect``: what each number of the answer must be; an answer without any
    is a failure. ``lasting``, in TOML ``for``: seconds for which it must hold, asked again and again.
    ``token_file``: a file with a bearer token.
    """

    url: Annotated[str, Field(pattern=r"^https?://[^/?#\s]+[^?#\s]*$")]
    query: Annotated[str, Field(min_length=1)]
    expect: Annotated[str, AfterValidator(_expect)]
    lasting: Annotated[Seconds, Field(alias="for")] = 0.0
    token_file: str = ""


def _wave_check(value: object) -> object:
    return _argv(value) if isinstance(value, str) else value


class Rollout(Section):
    """``[group.NAME.rollout]``.

    ``canary``: so many hosts come first, alone; any failure among them stops the run. ``wave``: how many hosts
    are updated together after them, a number or a share of all. ``max_failures``: how many hosts, or which share of
    the run's (rounded down), may fail before it is stopped. ``pause``: seconds between two waves. ``parallel``:
    hosts at work at the same time. ``limit``: seconds that one host may take with all that belongs to it;
    ``lock_wait``: those of them that it waits for the lock of the package tool.

    ``check``: a command on the host, ``check_http``: a URL asked from here, each tried again until it succeeds,
    for at most ``check_within`` seconds. ``wave_check``: asked once after each wave.

    ``on_failure``: whether failed hosts get back what they ran before. ``downgrade``: whether, where the run stops
    because of the build, all hosts that it updated do so too, or only those that failed.

    ``rings``: other groups, updated one after the other in place of hosts of this group's own, with ``soak``
    seconds between them. ``restart``: what becomes of what still runs what was before: ``none``, it is told
    (``report``), ``services`` named here are restarted where they run, or the host is where that is due (``reboot``),
    which then has ``reboot_within`` seconds to come back.
    ``report_hosts``: whether the daemon is told what each host runs then.
    """

    canary: Annotated[int, Field(ge=0, le=10_000)] = 1
    wave: Annotated[Count, AfterValidator(_wave)] = "25%"
    max_failures: Count = "10%"
    pause: Seconds = 0.0
    parallel: Annotated[int, Field(ge=1, le=_MOST_AT_ONCE)] = 50
    limit: Annotated[Seconds, Field(ge=1)] = 1800.0
    lock_wait: Seconds = 60.0
    check: Command | None = None
    check_http: Annotated[str, AfterValidator(_template)] = ""
    check_status: Annotated[int, Field(ge=100, le=599)] = 200
    check_within: Seconds = 30.0
    wave_check: Annotated[Query | Argv | None, BeforeValidator(_wave_check)] = None
    on_failure: OnFailure = "stop"
    downgrade: Downgrade = "all"
    rings: Sequence[str] = ()
    soak: Seconds = 0.0
    restart: Restart = "report"
    services: Sequence[Service] = ()
    reboot_within: Annotated[Seconds, Field(ge=1)] = 600.0
    report_hosts: bool = True

    @model_validator(mode="after")
    def _each_ring_once(self) -> Self:
        if len(set(self.rings)) < len(self.rings):
            msg = f"rings: expected each group once, found {', '.join(self.rings)}"
            raise ValueError(msg)
        return self

    def over(self, options: Mapping[str, Any]) -> "Rollout":
        """The same with those options of a command line that are given (not None) in place of what is set.

        Raises pydantic's ``ValidationError`` where one is not as it must be.
        """
        given = {key: value for key, value in options.items() if value is not None}
        return Rollout.model_validate(self.model_dump(by_alias=True) | given)
