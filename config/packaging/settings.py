"""A commented file of settings as the body of a manual page."""

import re
from collections.abc import Iterator

from config.packaging import roff

_TABLE = re.compile(r"#?(\[\[?[\w.-]+\]?\])(?:\s*#.*)?")
_KEY = re.compile(r"(#?[\w-]+ =.*?)(?:\s+# (.*))?")
_MORE = re.compile(r"#?\s{8,}# ?(.*)")
_VALUE = re.compile(r"#?\s{4}(\S.*)")


def summary(text: str) -> str:
    """What the first comment calls the file, without a full stop."""
    return re.split(r"[.:,]", text.removeprefix("# "), maxsplit=1)[0]


def body(text: str) -> Iterator[str]:
    """Tables become parts, settings items; a comment right above a table, or above a setting, belongs to it."""
    head, *rest = text.strip("\n").splitlines()
    while head and rest and rest[0].startswith("# "):
        head = f"{head} {rest.pop(0).removeprefix('# ')}"
    yield from _comment([head.removeprefix("# ")])
    for block in re.split(r"\n\s*\n", "\n".join(rest).strip("\n")):
        yield from _block(block.splitlines())


def _block(lines: list[str]) -> Iterator[str]:
    comment: list[str] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if table := _TABLE.fullmatch(line):
            yield roff.heading(table[1], sub=True)
            yield from _comment(comment)
            comment = []
        elif key := _KEY.fullmatch(line):
            said, values = [key[2] or ""], list[str]()
            while number < len(lines) and (more := _MORE.fullmatch(lines[number]) or _VALUE.fullmatch(lines[number])):
                (said if more.re is _MORE else values).append(more[1])
                number += 1
            yield from _setting(key[1], " ".join(said).strip(), values, comment)
            comment = []
        else:
            comment.append(line.removeprefix("#").removeprefix(" "))
    yield from _comment(comment)


def _setting(key: str, said: str, values: list[str], comment: list[str]) -> Iterator[str]:
    """Where it says something itself, the comment above it is about more than this one."""
    if said and comment:
        yield from _comment(comment)
    yield from roff.item(key, said or " ".join(comment))
    if values:
        yield from (".RS", *roff.literal(values), ".RE")


def _comment(lines: list[str]) -> Iterator[str]:
    """Lines that are indented stand as they are."""
    if lines:
        yield ".PP"
    plain: list[str] = []
    for line in lines:
        if line.startswith("  "):
            if plain:
                yield from roff.paragraphs(" ".join(plain))
                plain = []
            yield from roff.literal([line])
        else:
            plain.append(line)
    if plain:
        yield from roff.paragraphs(" ".join(plain))
