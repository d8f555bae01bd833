"""Which builds a person means: NEVRAs or shell patterns over them. Pure."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar

from repod.errors import NotFound
from repod.package import Nevra
from repod.wording import few

_SHOWN = 5


class Build(Protocol):
    """Anything that has a NEVRA."""

    @property
    def nevra(self) -> Nevra:
        """What identifies it."""


_Build = TypeVar("_Build", bound=Build)


def select(builds: Iterable[_Build], words: Iterable[str], where: str) -> list[_Build]:
    """The builds that any of ``words`` names, in their order, each once.

    A word is a NEVRA, or a shell pattern (``*``, ``?``, ``[…]``) over NEVRAs as they are printed.
    ``NotFound`` names each word that means no build of ``where``, and what is alike.
    """
    known = list(builds)
    chosen: set[int] = set()
    lines = []
    for word in words:
        means = _meaning(word)
        found = [at for at, build in enumerate(known) if means(build.nevra)]
        chosen.update(found)
        if not found:
            lines.append(f"no build of {where} is {word!r}; {near(word, [build.nevra for build in known])}")
    if lines:
        raise NotFound("\n".join(lines))
    return [known[at] for at in sorted(chosen)]


def _meaning(word: str) -> Callable[[Nevra], bool]:
    """Whether a NEVRA is what the word means; with ``0:`` before a version or without is the same."""
    try:
        exact = Nevra.parse(word)
    except ValueError:
        exact = None
    return lambda nevra: nevra == exact or fnmatchcase(str(nevra), word)


def near(word: str, nevras: Sequence[Nevra]) -> str:
    """What may have been meant instead, in words: builds of the same name, newest first, or names alike."""
    names = {nevra.name for nevra in nevras}
    same = max((name for name in names if word == name or word.startswith(f"{name}-")), key=len, default="")
    if same:
        builds = sorted((n for n in nevras if n.name == same), key=lambda n: (n.rank, n.arch), reverse=True)
        return f"of that name there are: {few(list(map(str, builds)), _SHOWN)}"
    alike = difflib.get_close_matches(word, names, n=_SHOWN) or difflib.get_close_matches(
        word.partition("-")[0], names, n=_SHOWN
    )
    return f"names alike: {few(alike, _SHOWN)}" if alike else "the command packages lists all"
