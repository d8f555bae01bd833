"""Mutations of bytes, texts and trees. All take their chances from one ``Random``, so that a seed says all."""

import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Step = Callable[[Random, bytes], bytes]

ODD: Sequence[str] = (
    "", " ", "0", "-1", "1", "00", "+1", "1_000", "²", "٣", "\uff19", "1e999", "0x10", "NaN", "Infinity", "-Infinity",
    "4294967295", "4294967296", "9223372036854775808", "18446744073709551616", "9" * 5000, "1" + "0" * 308, "1.5",
    "a" * 70_000, "é", "ß", "İ", "\u202e", "\u2028", "\u0085", "\ufeff", "\ufffe", "\U0010ffff", "\x00", "\x1b[31m",
    "\x7f", "\x01", "\t", "\n", "\r", "\r\n", "a\nb", "../../etc/passwd", "..", ".", "/", "//", "/etc/passwd", "a/../b",
    "%2e%2e%2f", "%00", "%", "%zz", "+", "?", "#", "&amp;", "&lt;", "&x;", "]]>", "<!--", "<a>", "'", '"', "`", "\\",
    "\\u0000", "${x}", "$(id)", "%s", "%(x)s", "{0}", "{{", "*", "[", "]", "(", "(?", "~", "^", "-", "--", "_", ":",
    "s3://", "s3://b/", "http://[", "http://a:99999/", "file:///", "//x", "a b", "None", "null", "true", "false", "yes",
    "1970-01-01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-02-30", "24:60", "1h", "99999999d", "1GiB",
)  # fmt: skip
"""Words that readers of all kinds have stumbled over."""

_ODD_BYTES = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\x00", b"\x80" * 20, b"\xef\xbb\xbf")
_ODD_VALUES: Sequence[Any] = (
    None, True, False, 0, -1, 1, 2**31, 2**32, 2**63, 2**64, -(2**63), 10**400, 0.5, 1e308, float("inf"), float("nan"),
    [], {}, [[]], [{}], {"": ""}, "", [None], {"a": None}, "1", [1, "a"],
)  # fmt: skip
_DEEP = "@@deep@@"
_TOKEN = re.compile(rb"""[0-9]+|"[^"\n]{0,200}"|'[^'\n]{0,200}'|[A-Za-z_][\w.-]*|[^\s\w]""")
_TAG = re.compile(rb"<[^<>]{1,400}>")
_ATTRIBUTE = re.compile(rb"""="[^"<>]*"|='[^'<>]*'""")
_BETWEEN = re.compile(rb">[^<>]+<")


def odd(draw: Random) -> bytes:
    """Something that is seldom there."""
    return draw.choice(_ODD_BYTES) if draw.random() < 0.1 else draw.choice(ODD).encode("utf-8", "surrogatepass")


def flip(draw: Random, data: bytes) -> bytes:
    """A bit or a byte is another one."""
    if not data:
        return odd(draw)
    found, at = bytearray(data), draw.randrange(len(data))
    found[at] = found[at] ^ 1 << draw.randrange(8) if draw.random() < 0.5 else draw.randrange(256)
    return bytes(found)


def cut(draw: Random, data: bytes) -> bytes:
    """A piece is gone, or the end."""
    start = draw.randrange(len(data) + 1)
    return data[:start] + data[start + draw.choice((1, 2, 7, 40, 400, len(data))) :]


def twice(draw: Random, data: bytes) -> bytes:
    """A piece stands there twice, a hundred times, or until it has 200,000 bytes: what is quadratic stands still."""
    start = draw.randrange(len(data) + 1)
    piece = data[start : start + draw.choice((1, 4, 30, 200, 2000))]
    times = draw.choice((2, 2, 3, 100)) if draw.random() < 0.97 else 200_000 // max(len(piece), 1)
    return data[:start] + piece * times + data[start + len(piece) :]


def inserted(draw: Random, data: bytes) -> bytes:
    """Something odd stands somewhere."""
    at = draw.randrange(len(data) + 1)
    return data[:at] + odd(draw) + data[at:]


def swapped(draw: Random, data: bytes) -> bytes:
    """Two lines have changed places, or one is gone."""
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return cut(draw, data)
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    if draw.random() < 0.3:
        del lines[one]
    return b"".join(lines)


def _replaced(draw: Random, data: bytes, form: re.Pattern[bytes], new: Callable[[bytes], bytes]) -> bytes:
    found = list(form.finditer(data[:200_000]))
    if not found:
        return inserted(draw, data)
    match = draw.choice(found)
    return data[: match.start()] + new(match[0]) + data[match.end() :]


def token(draw: Random, data: bytes) -> bytes:
    """A word, number or sign is another one."""

    def new(old: bytes) -> bytes:
        if old[:1] in {b'"', b"'"} and draw.random() < 0.8:
            return old[:1] + odd(draw) + old[:1]
        return odd(draw)

    return _replaced(draw, data, _TOKEN, new)


def markup(draw: Random, data: bytes) -> bytes:
    """A tag, an attribute or a text of XML is another one, is gone, or is there twice."""
    kind = draw.randrange(6)
    if kind == 0:
        return _replaced(draw, data, _ATTRIBUTE, lambda old: old[:2] + odd(draw) + old[-1:])
    if kind == 1:
        return _replaced(draw, data, _BETWEEN, lambda _: b">" + odd(draw) + b"<")
    tags = _TAG.findall(data[:200_000])
    if kind == 2 and tags:
        return _replaced(draw, data, _TAG, lambda old: old + draw.choice(tags))
    if kind == 3:
        return _replaced(draw, data, _TAG, lambda _: b"")
    if kind == 4:
        return _element(draw, data)
    extra = (
        b"<!-- x -->",
        b"<![CDATA[<x>]]>",
        b"<?x y?>",
        b"<x xmlns='u'/>",
        b'<!DOCTYPE x SYSTEM "x">',
        b"&x;",
        b"&#0;",
    )
    return _replaced(draw, data, _TAG, lambda old: old + draw.choice(extra))


def _element(draw: Random, data: bytes) -> bytes:
    """A whole element is gone, or stands somewhere else too."""
    names = re.findall(rb"<([A-Za-z:]+)[^<>]*>", data[:200_000])
    if not names:
        return cut(draw, data)
    name = re.escape(draw.choice(names))
    found = list(re.finditer(rb"<%b[\s>][^\0]*?</%b>" % (name, name), data[:200_000]))
    if not found:
        return cut(draw, data)
    match = draw.choice(found)
    if draw.random() < 0.4:
        return data[: match.start()] + data[match.end() :]
    other = draw.choice(found)
    return data[: other.start()] + match[0] + data[other.start() :]


def tree(draw: Random, data: bytes) -> bytes:
    """A value, key or branch of a JSON text is another one; a text that is none has a word changed."""
    try:
        root = json.loads(data)
    except (ValueError, RecursionError):
        return token(draw, data)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        root = _changed(draw, root)
    text = json.dumps(root, ensure_ascii=draw.random() < 0.5, indent=draw.choice((None, 1)))
    if _DEEP in text:
        depth = draw.choice((50, 1000, 100_000))
        text = text.replace(f'"{_DEEP}"', draw.choice(("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth)))
    return text.encode("utf-8", "surrogatepass")


def _changed(draw: Random, node: Any) -> Any:
    if isinstance(node, dict) and node and draw.random() < 0.85:
        return _changed_table(draw, node)
    if isinstance(node, list) and node and draw.random() < 0.85:
        rows, at = list(node), draw.randrange(len(node))
        kind = draw.random()
        if kind < 0.15:
            del rows[at]
        elif kind < 0.3:
            rows += rows[at : at + 1] * draw.choice((1, 2, 300))
        else:
            rows[at] = _changed(draw, rows[at])
        return rows
    kind = draw.random()
    if kind < 0.4:
        return draw.choice(_ODD_VALUES)
    if kind < 0.45:
        return _DEEP
    if isinstance(node, str) and node and kind < 0.6:
        return odd(draw).decode("utf-8", "surrogateescape").join(node.partition(node[draw.randrange(len(node))])[::2])
    return odd(draw).decode("utf-8", "surrogateescape")


def _changed_table(draw: Random, node: dict[str, Any]) -> dict[str, Any]:
    key = draw.choice(list(node))
    kind = draw.random()
    if kind < 0.12:
        return {name: value for name, value in node.items() if name != key}
    if kind < 0.2:
        return node | {odd(draw).decode("utf-8", "replace"): node[key]}
    if kind < 0.27:
        return node | {key: node[draw.choice(list(node))]}
    return node | {key: _changed(draw, node[key])}


def _several(*steps: Step) -> Step:
    def mutate(draw: Random, data: bytes) -> bytes:
        for _ in range(draw.choice((1, 1, 1, 2, 3, 6))):
            data = draw.choice(steps)(draw, data)[: 1 << 20]
        return data

    return mutate


raw = _several(flip, cut, twice, inserted)
text = _several(token, token, token, swapped, inserted, cut, twice, flip)
xml = _several(markup, markup, markup, markup, token, inserted, cut, twice, flip)
as_json = _several(tree, tree, tree, tree, tree, token, flip, cut)


def nested(draw: Random, data: bytes) -> bytes:
    """Brackets within brackets, as TOML, YAML and INI know them."""
    depth = draw.choice((20, 500, 60_000))
    return data + b"\nx = " + b"[" * depth + draw.choice((b"", b"]" * depth)) + b"\n"


toml = _several(token, token, token, token, swapped, inserted, cut, twice, nested)
