"""Whether the fields of values hold what their classes say: unpickled, they were never checked."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, NewType, Union, get_args, get_origin, get_type_hints


def misfit(value: object) -> str:
    """The first field that holds something else, as ``Class.field``; empty where none does."""
    if isinstance(value, Mapping):
        parts: Iterator[object] = (part for pair in value.items() for part in pair)
    elif isinstance(value, list | tuple | AbstractSet):
        parts = iter(value)
    elif is_dataclass(value) and not isinstance(value, type):
        hints = _hints(type(value))
        for name, hint in hints.items():
            if not _fits(getattr(value, name, misfit), hint):
                return f"{type(value).__name__}.{name}"
        parts = (getattr(value, name) for name in hints)
    else:
        return ""
    return next((found for part in parts if (found := misfit(part))), "")


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    known = get_type_hints(kind)
    return {field.name: known[field.name] for field in fields(kind)}


def _fits(value: object, hint: Any) -> bool:
    """Whether ``value`` is what ``hint`` says; what values hold in turn is looked at by itself."""
    while isinstance(hint, NewType):
        hint = hint.__supertype__
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin in {Union, UnionType}:
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if isinstance(origin, type) and inner:
        return _holds(value, origin, inner)
    # A bool is no number here, and None stands for itself.
    return type(value) is (NoneType if origin is None else origin)


def _holds(value: Any, kind: type, inner: Sequence[Any]) -> bool:
    """Whether ``value`` is a container of a kind whose parts are what ``inner`` says."""
    if issubclass(kind, Mapping):
        return isinstance(value, dict) and all(_fits(k, inner[0]) and _fits(v, inner[1]) for k, v in value.items())
    if issubclass(kind, tuple) and inner[1:] != (...,):
        return isinstance(value, tuple) and len(value) == len(inner) and all(map(_fits, value, inner))
    allowed = (list, tuple) if issubclass(kind, Sequence) else (set, frozenset)
    return isinstance(value, allowed) and all(_fits(one, inner[0]) for one in value)
