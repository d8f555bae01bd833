"""The values that settings are made of: texts of a person, each proven and turned into what the code uses."""

import re
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZES = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_YEAR = 366 * 86400  # far below what a thread can wait for
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")
_ADDRESS = re.compile(r".+:[0-9]{1,5}")
# As S3 names buckets now; their old form had capitals and underscores too.
_S3_PLACE = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9])/((?:[^/]+/)*(?:[^/]+/?)?)")
_LINE = re.compile(r"\s*[^\s=]+\s*=\s*[^\s=]+\s*")

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""The form of a label that is put on a build, and that in words."""
LABEL_FORM = "expected letters, digits, '_', '.' and '-', a letter or digit first"


class Section(BaseModel):
    """A table of the settings: frozen, and without a key that repod does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Place:
    """A place in a bucket: all objects whose key starts with ``prefix``, which is empty or ends with a slash."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, value: str) -> Self | None:
        """The place that ``s3://BUCKET/PREFIX/`` names; None where ``value`` is a directory. ``ValueError`` else."""
        if "://" not in value:
            return None
        match = _S3_PLACE.fullmatch(value)
        parts = match[2].split("/") if match else []
        if match is None or {".", ".."} & set(parts) or not match[2].isprintable():
            msg = f"expected a directory or s3://BUCKET/PREFIX/, found {value!r}"
            raise ValueError(msg)
        prefix = match[2] if not match[2] or match[2].endswith("/") else f"{match[2]}/"
        return cls(bucket=match[1], prefix=prefix)

    def __str__(self) -> str:
        """As settings have it."""
        return f"s3://{self.bucket}/{self.prefix}"


def local_place(value: str) -> str:
    """A directory on this machine."""
    if not value:
        msg = "expected a directory, found an empty text"
        raise ValueError(msg)
    if "://" in value:
        msg = f"expected a directory on this machine, found {value!r}"
        raise ValueError(msg)
    return value


def place(value: str) -> str:
    """A directory, or ``s3://BUCKET/PREFIX/`` with the slash at its end."""
    found = S3Place.parse(value)
    return local_place(value) if found is None else str(found)


def queue_url(value: str) -> str:
    """The URL of a queue, as SQS gives it; empty for none."""
    if value and not re.fullmatch(r"https?://[^/]+/.+", value):
        msg = f"expected the URL of an SQS queue, as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, found {value!r}"
        raise ValueError(msg)
    return value


def repository_name(value: str) -> str:
    """A name that is also the id of a section in ``.repo`` files."""
    if value == "main":
        msg = "expected another name than 'main', which dnf and yum take for a section of their own settings"
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
LocalPlace = Annotated[str, AfterValidator(local_place)]
Place = Annotated[str, AfterValidator(place)]
QueueUrl = Annotated[str, AfterValidator(queue_url)]
