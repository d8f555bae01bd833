"""Where secrets come from: files, and systemd's credentials."""

import codecs
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from repod.errors import Misconfigured

_CREDENTIAL = "credential:"


def locate(setting: str, value: str, environ: Mapping[str, str], *, table: str = "[signing]") -> Path:
    """The file that ``value`` (a path, or ``credential:NAME``) means; ``table`` and ``setting`` name it in errors."""
    if not value.startswith(_CREDENTIAL):
        return Path(value)
    name = value.removeprefix(_CREDENTIAL)
    if not name or "/" in name or name in {".", ".."}:
        msg = f"{table} {setting}: expected credential:NAME with a name from LoadCredential=, found {value!r}"
        raise Misconfigured(msg)
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        msg = (
            f"{table} {setting} is {value!r}, but CREDENTIALS_DIRECTORY is not set; start repod by systemd"
            f" with LoadCredential={name}:FILE, or give a path"
        )
        raise Misconfigured(msg)
    return Path(directory, name)


def read(setting: str, value: str, environ: Mapping[str, str]) -> bytes:
    """The bytes of the file that ``value`` means; ``Misconfigured`` where they cannot be read.

    The mark that some editors put before UTF-8 is none of the secret; no OpenPGP packet begins so.
    """
    path = locate(setting, value, environ)
    try:
        return path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        msg = f"[signing] {setting}: {path} cannot be read ({error.strerror}); give a file that repod may read"
        raise Misconfigured(msg) from error


def read_passphrase(value: str, environ: Mapping[str, str]) -> SecretStr | None:
    """The passphrase in the file that ``value`` means, None where ``value`` is empty.

    One newline at its end is not part of it. Raises ``Misconfigured``.
    """
    if not value:
        return None
    try:
        text = read("passphrase_file", value, environ).decode()
    except UnicodeDecodeError:
        text = "\0"
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or "\n" in text or "\0" in text:
        # The cause is left out: it would hold what the file holds.
        msg = f"[signing] passphrase_file: {value} must hold one line of UTF-8 text, the passphrase, and does not"
        raise Misconfigured(msg)
    return SecretStr(text)
