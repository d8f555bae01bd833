"""Rich requirements, ``(a or (b and c))``, taken apart: libsolv does not tell what they are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

_PLAIN = {"and", "or"}
_SINGLE = {"with", "without"}  # of one package: libsolv looks those up as a whole
_MAYBE = {"if", "unless", "else"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rich:
    """``all`` of ``parts`` are to be met, or else any of them."""

    all: bool
    parts: Sequence["Part"]


Part = Rich | str
"""A text is one that packages can provide: ``name``, ``name = 1-1``, or ``(a with b)``."""


def parse(text: str) -> Part:
    """The parts of a requirement as rpm writes it; one that is not rich is its own only part.

    ``(a if b else c)`` becomes ``(a and c)``: which of them a host needs depends on what it has, so
    both must be there. ``(a if b)`` and ``(a unless b)`` become ``a``.
    """
    if not text.startswith("("):
        return text
    operands, operators = _group(text)
    if not operators:
        return parse(operands[0])
    if operators[0] in _SINGLE:
        return text
    if operators[0] in _MAYBE:
        needed = [operands[0], *(word for sign, word in zip(operators, operands[1:], strict=True) if sign == "else")]
        return Rich(all=True, parts=[parse(word) for word in needed])
    return Rich(all=operators[0] == "and", parts=[parse(word) for word in operands])


def _group(text: str) -> tuple[list[str], list[str]]:
    """The operands of a group in brackets, and the operators between them."""
    operands: list[list[str]] = [[]]
    operators: list[str] = []
    for word in _words(text[1:-1]):
        if word in _PLAIN | _SINGLE | _MAYBE and operands[-1]:
            operators.append(word)
            operands.append([])
        else:
            operands[-1].append(word)
    return [" ".join(words) for words in operands], operators


def _words(text: str) -> list[str]:
    """The words of a text; what stands in brackets belongs to one word."""
    words = [""]
    depth = 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter.isspace() and not depth:
            words.append("")
        else:
            words[-1] += letter
    return [word for word in words if word]
