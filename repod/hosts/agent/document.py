"""The rollout file of a repository, and what makes it one that may be followed. Pure.

It is written by ``repod.rings``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from repod import jsontext
from repod.hosts.faults import Malformed, Refused
from repod.windows import Window

FORMAT = 1
_NEVRA = re.compile(
    r"(?P<name>[A-Za-z0-9_][A-Za-z0-9_.+-]*)-(?:(?P<epoch>[0-9]+):)?(?P<version>[A-Za-z0-9_.+~^]+)"
    r"-(?P<release>[A-Za-z0-9_.+~^]+)\.(?P<arch>[A-Za-z0-9_]+)"
)
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Build:
    """A build, known by the digest of its header; that is empty where the package is none that has it."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    header_sha256: str = ""

    @property
    def evr(self) -> str:
        """``[epoch:]version-release``."""
        return f"{self.epoch}:{self.version}-{self.release}" if self.epoch else f"{self.version}-{self.release}"

    def __str__(self) -> str:
        """As dnf prints it."""
        return f"{self.name}-{self.evr}.{self.arch}"

    @classmethod
    def parse(cls, text: str, header_sha256: str = "") -> Build:
        """``name-[epoch:]version-release.arch``; ``ValueError`` else."""
        match = _NEVRA.fullmatch(text)
        if match is None or (header_sha256 and not _DIGEST.fullmatch(header_sha256)):
            msg = f"expected NAME-[EPOCH:]VERSION-RELEASE.ARCH and a SHA-256, found {text!r} {header_sha256!r}"
            raise ValueError(msg)
        parts = match.groupdict()
        return cls(
            parts["name"], int(parts["epoch"] or 0), parts["version"], parts["release"], parts["arch"], header_sha256
        )


@dataclass(frozen=True)
class Phase:
    """So many hosts of a hundred, since when."""

    percent: int
    since: float


@dataclass(frozen=True)
class Ring:
    """What hosts are to run; see ``repod.rings.Ring``."""

    builds: Sequence[Build]
    phases: Sequence[Phase]
    spread: float
    windows: Sequence[Window]
    on_failure: str
    check: bool
    paused: bool
    salt: str


@dataclass(frozen=True)
class Rollout:
    """The document. Times are seconds since 1970."""

    repository: str
    serial: int
    issued: float
    expires: float
    rings: Mapping[str, Ring]


def opened(data: bytes) -> tuple[bytes, bytes]:
    """The text that is signed, and the signature; ``Malformed`` where that is no rollout file."""
    try:
        tree = jsontext.loads(data)
        _known(tree["format"])
        return tree["document"].encode(), tree["signature"].encode()
    # Nothing of it is proven yet: whoever serves it may have nested it so deep that no parser goes there.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _malformed(error) from error


def parse(text: bytes) -> Rollout:
    """The document, whose signature was proven; ``Malformed`` where it is none."""
    try:
        tree = jsontext.loads(text)
        _known(tree["format"])
        return Rollout(
            str(tree["repository"]),
            int(tree["serial"]),
            seconds(tree["issued"]),
            seconds(tree["expires"]),
            {str(name): _ring(one) for name, one in tree["rings"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _malformed(error) from error


def accept(rollout: Rollout, repository: str, seen: int | None, now: float) -> None:
    """``Refused`` where it is another repository's, older than one that was ``seen``, or stale."""
    if rollout.repository != repository:
        msg = f"rollout.json: expected that of {repository}, found that of {rollout.repository}; see url and name"
        raise Refused(msg)
    if seen is not None and rollout.serial < seen:
        msg = (
            f"rollout.json: expected serial {seen} or later, found {rollout.serial}: an old copy is served; "
            "see the mirror, or remove state.json if the repository was made anew"
        )
        raise Refused(msg)
    if now >= rollout.expires:
        msg = (
            f"rollout.json: expired at {stamp(rollout.expires)}: a mirror is frozen, or no repod has signed it anew; "
            "see that repod runs, and the clock here"
        )
        raise Refused(msg)


def stamp(when: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return datetime.utcfromtimestamp(when).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ004 - said to be UTC


def seconds(text: str) -> float:
    """The other way round; ``ValueError``."""
    return datetime.strptime(text.replace("Z", "+0000"), "%Y-%m-%dT%H:%M:%S%z").timestamp()


def _ring(tree: Mapping[str, Any]) -> Ring:
    return Ring(
        tuple(Build.parse(one["nevra"], one["header_sha256"]) for one in tree["builds"]),
        tuple(Phase(int(one["percent"]), seconds(one["since"])) for one in tree["phases"]),
        float(tree["spread"]),
        tuple(map(Window.parse, tree["windows"])),
        str(tree["on_failure"]),
        bool(tree["check"]),
        bool(tree["paused"]),
        str(tree["salt"]),
    )


def _known(found: object) -> None:
    if found != FORMAT:
        msg = f"expected format {FORMAT}, found {found!r}; is repod-agent too old?"
        raise ValueError(msg)


def _malformed(error: Exception) -> Malformed:
    return Malformed(f"rollout.json: expected a rollout file of repod, found another one ({error})")
