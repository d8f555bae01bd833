"""What a run wants of hosts: names that people say become exact builds, fixed at the start by one generation."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from repod.client.fleet import Action, Aim, Wanted
from repod.client.settings import Repository
from repod.errors import Conflict, NotFound, Unavailable
from repod.office import Row
from repod.package import Nevra
from repod.selection import near

_ATTEMPTS = 5
_BUILD = re.compile(r"(?P<name>.+)-(?P<evr>[^-]+-[^-]+)")
_NOT_INSTALLED = frozenset({"src", "nosrc"})


class Catalogue(Protocol):
    """The door to what a repository lists; see ``api.Api``."""

    def generation(self, repository: str) -> int | None:
        """The current one; None where nothing was published yet."""

    def packages(self, repository: str, *, name: str = "") -> Sequence[Row]:
        """All that are listed under that name, or all."""

    def package(self, repository: str, nevra: str) -> Mapping[str, Any]:
        """All that is known of a NEVRA: ``builds``, each with ``listed`` and ``header_sha256``."""


def resolve_aim(
    catalogue: Catalogue,
    repository: str,
    words: Sequence[str],
    action: Action,
    *,
    known: Repository,
    key_file: Callable[[], bytes],
) -> Aim:
    """The aim that ``words`` (``NAME``, ``NAME-EVR`` or a NEVRA each) mean in ``repository`` now.

    ``NAME`` alone is its newest build; to downgrade, the one listed below the newest. ``known``: what the settings
    say of the repository; only keys that they name may be imported, from ``key_file``, armored.
    ``NotFound`` where a word means nothing, with what there is.
    """
    number, builds = _settled(catalogue, repository, words, action)
    return Aim(
        action=action,
        repository=known.id or repository,
        builds=builds,
        generation=number,
        bases=known.bases,
        keys=known.keys,
        key_file=key_file() if known.keys else b"",
    )


def _settled(
    catalogue: Catalogue, repository: str, words: Sequence[str], action: Action
) -> tuple[int, Sequence[Wanted]]:
    """The generation, and what the words mean in it: asked again where another was published meanwhile."""
    number = catalogue.generation(repository)
    for _ in range(_ATTEMPTS):
        if number is None:
            raise NotFound(f"repository {repository} lists nothing yet; push a package to it first")
        nevras = dict.fromkeys(one for word in words for one in _meant(catalogue, repository, word, action))
        found = [wanted(catalogue, repository, nevra) for nevra in nevras]
        after = catalogue.generation(repository)
        if after == number:
            return number, found
        number = after
    raise Conflict(f"{repository} changed {_ATTEMPTS} times while it was asked what it lists; try again")


def _meant(catalogue: Catalogue, repository: str, word: str, action: Action) -> Sequence[Nevra]:
    """One build for each architecture."""
    named = _of(catalogue.packages(repository, name=word))
    if named:
        return _per_arch(named, 1 if action == "downgrade" else 0, word, repository)
    for name, fits in _exact(word):
        found = [nevra for nevra in _of(catalogue.packages(repository, name=name)) if fits(nevra)]
        if found:
            return found
    known = _of(catalogue.packages(repository))
    raise NotFound(f"{repository} lists no {word!r}; {near(word, known)}")


def _exact(word: str) -> Iterable[tuple[str, Callable[[Nevra], bool]]]:
    """Names that a word may have, and which builds it means then: with an EVR, and with an architecture too."""
    if match := _BUILD.fullmatch(word):
        yield match["name"], lambda nevra: nevra.evr == match["evr"].removeprefix("0:")
    try:
        exact = Nevra.parse(word)
    except ValueError:
        return
    yield exact.name, lambda nevra: nevra == exact


def _of(rows: Sequence[Row]) -> Sequence[Nevra]:
    return [Nevra.parse(row.package) for row in rows if row.arch not in _NOT_INSTALLED]


def _per_arch(nevras: Sequence[Nevra], below: int, word: str, repository: str) -> Sequence[Nevra]:
    """Of each architecture the newest, or the one so many below it."""
    found = []
    for arch in dict.fromkeys(nevra.arch for nevra in nevras):
        ranks = sorted((nevra for nevra in nevras if nevra.arch == arch), key=lambda nevra: nevra.rank, reverse=True)
        found += ranks[below : below + 1]
    if not found:
        listed = ", ".join(map(str, nevras))
        raise NotFound(
            f"{repository} lists no build of {word} below the newest, only {listed}; say NAME-EVR of another"
        )
    return found


def wanted(catalogue: Catalogue, repository: str, nevra: Nevra) -> Wanted:
    """A build that is listed, with the digest by which hosts prove it; ``Unavailable`` where that cannot be read."""
    builds = catalogue.package(repository, str(nevra))["builds"]
    digest = next((one["header_sha256"] for one in builds if one["listed"] and one["header_sha256"]), "")
    if not digest:
        raise Unavailable(
            f"{repository} lists {nevra}, but the daemon cannot read the digest of its header, by which hosts prove "
            f"it; see: repoctl why {repository} {nevra}"
        )
    return Wanted(nevra=nevra, header_sha256=digest)
