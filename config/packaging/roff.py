"""Text as man(7) wants it."""

import re
from collections.abc import Iterable, Iterator

_SPECIAL = {"\\": r"\e", "-": r"\-", "^": r"\(ha", "~": r"\(ti", "'": r"\(aq", "`": r"\(ga"}


def escaped(text: str) -> str:
    """``text`` as it is, whatever it holds: no request, no typographic signs in place of those of a shell."""
    plain = "".join(_SPECIAL.get(sign, sign) for sign in text)
    return rf"\&{plain}" if plain.startswith(".") else plain


def heading(title: str, *, sub: bool = False) -> str:
    """The head of a section, or of a part of one."""
    return f'.{"SS" if sub else "SH"} "{escaped(title)}"'


def paragraphs(text: str) -> Iterator[str]:
    """Text as click has it: paragraphs with empty lines between them, one that begins with a backspace as it stands."""
    for number, part in enumerate(re.split(r"\n\s*\n", text.strip("\n"))):
        if number:
            yield ".PP"
        if part.lstrip().startswith("\b"):
            yield from literal(part.lstrip().removeprefix("\b").strip("\n").splitlines())
        else:
            yield escaped(" ".join(part.split()))


def literal(lines: Iterable[str]) -> Iterator[str]:
    """Lines as they stand."""
    yield ".nf"
    yield from (escaped(line) if line.strip() else r"\&" for line in lines)
    yield ".fi"


def item(tag: str, text: str) -> Iterator[str]:
    """Something, and what is said of it."""
    yield ".TP"
    yield rf"\fB{escaped(tag)}\fR"
    yield from paragraphs(text) if text.strip() else [r"\&"]
