"""Patterns that choose hosts of an inventory, as Ansible has them: ``web:&prod:!web3``, ``db*``, ``~web[0-9]+``."""

import re
from collections.abc import Sequence
from fnmatch import translate

from repod.client.hostgroups import ALL, Tree, hosts_of
from repod.errors import Misconfigured

_PIECE = re.compile(r"(?:[^\[\]:,\s]|\[[^\]]*\])+")
_SUBSCRIPT = re.compile(r"(?P<what>.+)\[(?:(?P<one>-?[0-9]+)|(?P<first>[0-9]+):(?P<last>[0-9]*))\]")
_WILD = re.compile(r"[*?\[]")


def chosen(tree: Tree, pattern: str) -> Sequence[str]:
    """The hosts that a pattern means, in the inventory's order.

    A name that is neither a host nor a group is ``Misconfigured``, also after ``!``: a slip of the pen there would
    update a host that was to be left out. A pattern with ``*`` may fit nothing.
    """
    pieces = _pieces(pattern)
    found = list(dict.fromkeys(host for one in pieces if one[0] not in "&!" for host in _fitting(tree, one, pattern)))
    if all(one[0] in "&!" for one in pieces):
        found = list(tree.hosts)
    for one in pieces:
        if one[0] == "&":
            both = set(_fitting(tree, one[1:], pattern))
            found = [host for host in found if host in both]
    for one in pieces:
        if one[0] == "!":
            out = set(_fitting(tree, one[1:], pattern))
            found = [host for host in found if host not in out]
    return found


def _pieces(pattern: str) -> Sequence[str]:
    # A regular expression may hold what else parts patterns; Ansible splits at commas alone where there is one.
    parts = pattern.split(",") if "," in pattern else [pattern] if pattern.startswith("~") else _PIECE.findall(pattern)
    found = [one.strip() for one in parts if one.strip()]
    if not found or any(one in {"&", "!", "~"} for one in found):
        raise Misconfigured(f"pattern {pattern!r}: expected names of hosts or groups, such as 'web:&prod:!web3'")
    return found


def _fitting(tree: Tree, piece: str, pattern: str) -> Sequence[str]:
    """The hosts that one piece means."""
    if piece in tree.hosts:
        return [piece]
    match = None if piece.startswith("~") else _SUBSCRIPT.fullmatch(piece)
    found = _named(tree, match["what"] if match else piece, pattern)
    return _part(found, match, pattern) if match else found


def _named(tree: Tree, name: str, pattern: str) -> Sequence[str]:
    try:
        form = re.compile(name[1:] if name.startswith("~") else translate(name))
    except re.error as error:
        raise Misconfigured(f"pattern {pattern!r}: {name!r} is no regular expression ({error})") from error
    groups = [group for group in tree.groups if form.match(group)]
    found = [host for group in groups for host in hosts_of(tree, group)]
    wild = name.startswith("~") or bool(_WILD.search(name))
    if not groups or wild or "." in name:
        found += [host for host in tree.hosts if form.match(host)]
    if not found and not groups and not wild and name != ALL:
        msg = (
            f"pattern {pattern!r}: {name!r} is neither a host nor a group of the inventory; "
            f"write {name + '*'!r} where it may be missing"
        )
        raise Misconfigured(msg)
    return list(dict.fromkeys(found))


def _part(found: Sequence[str], match: re.Match[str], pattern: str) -> Sequence[str]:
    if match["one"] is None:
        return found[int(match["first"]) : int(match["last"]) + 1 if match["last"] else None]
    place = int(match["one"])
    if not -len(found) <= place < len(found):
        raise Misconfigured(
            f"pattern {pattern!r}: expected at least {abs(place) + 1} hosts in {match['what']!r}, found {len(found)}"
        )
    return [found[place]]
