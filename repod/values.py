"""The values that settings are made of: texts of a person, each proven and turned into what the code uses."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZES = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_YEAR = 366 * 86400  # far below what a thread can wait for
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")
_ADDRESS = re.compile(r".+:[0-9]{1,5}")
_LINE = re.compile(r"\s*[^\s=]+\s*=\s*[^\s=]+\s*")


def seconds(value: object) -> object:
    """``"3d"``, ``"90s"``, ``"500ms"`` or a number of seconds, as seconds."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|[smhdw])", value)
    if match is None:
        msg = f"expected a duration such as '500ms', '30s', '10m', '3d', found {value!r}"
        raise ValueError(msg)
    number = float(match[1])
    return number / 1000 if match[2] == "ms" else number * _UNITS[match[2]]


def size(value: object) -> object:
    """``"2GiB"`` or a number of bytes, as bytes."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"([0-9]+)\s*(|KiB|MiB|GiB|TiB)", value)
    if match is None:
        msg = f"expected a size such as '512MiB' or '2GiB', found {value!r}"
        raise ValueError(msg)
    return int(match[1]) * _SIZES[match[2]]


def fingerprint(value: str) -> str:
    """A full OpenPGP fingerprint in upper case without spaces."""
    text = value.replace(" ", "").upper()
    if not _FINGERPRINT.fullmatch(text):
        msg = f"expected a full fingerprint (40 hexadecimal digits), found {value!r}; short ids can be forged"
        raise ValueError(msg)
    return text


def address(value: str) -> str:
    """``HOST:PORT``, proven."""
    if not _ADDRESS.fullmatch(value) or int(value.rpartition(":")[2]) >= 1 << 16:
        msg = f"expected HOST:PORT, found {value!r}"
        raise ValueError(msg)
    return value


def key_name(value: str) -> str:
    """What ``[signing] key`` names, proven as far as its form goes."""
    if value.startswith("gpg:"):
        return "gpg:" + fingerprint(value.removeprefix("gpg:"))
    if value.startswith("aws-kms:"):
        msg = "aws-kms: keys are not supported by this version; use a key file, gpg: or command:"
        raise ValueError(msg)
    return value


def local_place(value: str) -> str:
    """A directory, proven to be none elsewhere."""
    if not value:
        msg = "expected a directory, found an empty text"
        raise ValueError(msg)
    if "://" in value:
        msg = f"expected a directory, found {value!r}; this version keeps everything in directories"
        raise ValueError(msg)
    return value


def build_line(value: str) -> str:
    """A line of builds, as ``NAME = VERSION`` with shell patterns."""
    if not _LINE.fullmatch(value):
        msg = f"expected shell patterns of a name and a version, such as 'golang = 1.24.*', found {value!r}"
        raise ValueError(msg)
    return value


Seconds = Annotated[float, BeforeValidator(seconds), Field(ge=0, le=_YEAR)]
Bytes = Annotated[int, BeforeValidator(size), Field(ge=0)]
Fingerprint = Annotated[str, AfterValidator(fingerprint)]
Place = Annotated[str, AfterValidator(local_place)]
