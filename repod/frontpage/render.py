"""Makes the page from its template: one file, without scripts, fonts or images, that any web server can hand out."""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import quote

from repod.welcome import LONGEST, Welcome, ways

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATE = "index.html.jinja"
_STYLE = "style.css"


@cache
def template_digest() -> str:
    """Of everything that the looks of a page come from; tells pages of another repod from those of this one."""
    texts = [_text(name) for name in (_TEMPLATE, _STYLE)]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def render(welcome: Welcome) -> bytes:
    """See ``Render``."""
    text = _template().render(
        at=welcome.place,
        mark=str(welcome.mark),
        generation=welcome.mark.generation,
        published=welcome.published,
        names=welcome.names,
        commands=_commands(welcome),
        longest=LONGEST,
    )
    return text.encode("utf-8", "replace")


def _commands(welcome: Welcome) -> Sequence[tuple[str, str]]:
    place, rows = welcome.place, welcome.names.rows
    return ways(place.url, place.config, rows[0].newest.name if rows else "")


@cache
def _template() -> "Template":
    # Most runs of repod write no page, and it takes long to import.
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["path"] = _encoded
    environment.filters["fours"] = _fours
    environment.globals["style"] = _style()
    return environment.from_string(_text(_TEMPLATE))


def _style() -> object:
    from markupsafe import Markup  # noqa: PLC0415 - as above

    return Markup(_text(_STYLE))  # noqa: S704 - ours, from the package  # nosec B704


def _encoded(path: str) -> str:
    """A path as a relative link: percent-encoded once, ``+`` too, since S3 takes that for a space."""
    return quote(path, safe="/~")


def _fours(fingerprint: str) -> str:
    """A fingerprint as people compare it, as gpg prints it."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
