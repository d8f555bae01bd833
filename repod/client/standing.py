"""How what a host runs stands to what a repository has: whether it is its build, and what the host could get."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from repod.client.fleet import Installed
from repod.package import Nevra

Origin = Literal["same", "other", "named", "unknown", ""]
"""Of an installed build: ``same``: the repository has it, by header digest; ``other``: it has another build of that
NEVRA; ``named``: it has that NEVRA, and the host's rpm is too old to tell digests; ``unknown``: it does not have it;
empty: nobody was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A package on a host. ``installed`` is None where it is not there; ``newest`` what the host could get.

    ``newest`` is None where the repository lists nothing for this host that is newer, or nobody was asked; ``listed``:
    whether it lists the installed build now.
    """

    name: str
    installed: Installed | None
    origin: Origin = ""
    newest: Nevra | None = None
    listed: bool = False


def origin(installed: Installed, known: Sequence[str] | None) -> Origin:
    """``known``: header digests of the repository's builds of that NEVRA; None where it has none."""
    if known is None:
        return "unknown"
    if not installed.header_sha256:
        return "named"
    return "same" if installed.header_sha256 in known else "other"


def standings(
    names: Sequence[str],
    installed: Sequence[Installed],
    listed: Mapping[str, Sequence[Nevra]],
    takes: Callable[[str], bool],
    known: Mapping[str, Sequence[str] | None],
) -> Sequence[Standing]:
    """Each of ``names`` on a host, those that are not there too.

    ``listed``: the repository's builds by name; ``takes``: whether the host takes an arch; ``known``: header digests
    by NEVRA, without an entry where nobody was asked.
    """
    found = []
    for name in names:
        newest = newest_of(nevra for nevra in listed.get(name, ()) if takes(nevra.arch))
        here = sorted((one for one in installed if one.nevra.name == name), key=lambda one: one.nevra.rank)
        if not here:
            found.append(Standing(name=name, installed=None, newest=newest))
        for one in here:
            # Of several that are installed beside each other, such as kernels, the newest is what counts.
            gets = newest if newest and one is here[-1] and newest.rank > one.nevra.rank else None
            own = str(one.nevra)
            found.append(
                Standing(
                    name=name,
                    installed=one,
                    origin=origin(one, known[own]) if own in known else "",
                    newest=gets,
                    listed=one.nevra in listed.get(name, ()),
                )
            )
    return found


def newest_of(builds: Iterable[Nevra]) -> Nevra | None:
    """The one that ranks highest by rpm's rule."""
    return max(builds, key=lambda nevra: nevra.rank, default=None)
