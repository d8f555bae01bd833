"""A document with its signature as one object, so that nobody ever reads one without the other.

Such documents are good for a time, and are signed anew when a third of it is over: whoever serves an old copy for
longer is found out by its end.
"""

import json
from dataclasses import dataclass

from repod import jsontext
from repod.errors import Corrupt
from repod.package import StorePath

FORMAT = 1
_OVERDUE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The object as it lies there: the exact text, and an armored signature over its bytes."""

    document: str
    signature: str

    def to_json(self) -> bytes:
        """Its bytes."""
        return json.dumps({"format": FORMAT, "document": self.document, "signature": self.signature}, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes, path: StorePath, remedy: str) -> "Envelope":
        """What the bytes found at ``path`` hold; ``Corrupt`` with the remedy where that is no envelope."""
        try:
            text = data.decode()
            tree = jsontext.loads(text)
            jsontext.prove(text, tree)  # the bytes of the texts are what was signed
            known(tree["format"])
            return cls(document=str(tree["document"]), signature=str(tree["signature"]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise unreadable(path, error, remedy) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """From when until when a document is good; seconds since 1970."""

    issued: int
    expires: int

    def fresh(self, now: float, valid: float) -> bool:
        """Whether it need not be signed anew: for so many seconds, not from the future, and less than a third over."""
        due = self.issued + (self.expires - self.issued) / _OVERDUE
        return self.expires - self.issued == int(valid) and self.issued <= now < due


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A document that is kept fresh: until when it is good, seconds since 1970, and whether it was just signed anew."""

    expires: int
    anew: bool


def known(found: object, expected: object = FORMAT) -> None:
    """``ValueError`` where the format, or the kind of document, is another one than expected."""
    if found != expected:
        msg = f"expected {'format' if expected == FORMAT else 'a'} {expected}, found {found!r}"
        raise ValueError(msg)


def unreadable(path: StorePath, error: Exception, remedy: str) -> Corrupt:
    """The error where an object of that kind cannot be read."""
    return Corrupt(f"{path} is unreadable ({error}); {remedy}")
