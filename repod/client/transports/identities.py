"""Files of private keys: whether they are some."""

from pathlib import Path

import paramiko


def is_encrypted(path: Path) -> bool:
    """Whether a private key has a passphrase, so that only an agent can use it."""
    return _said(path) is None


def fault(path: Path) -> str:
    """What is wrong with a file as a private key; empty: nothing. One that is encrypted is fine."""
    return _said(path) or ""


def _said(path: Path) -> str | None:
    """See ``fault``; None for one that is encrypted."""
    try:
        paramiko.PKey.from_path(path)
    except OSError as error:
        return f"it cannot be read ({error.strerror}); name the file of a private key"
    except Exception as error:  # noqa: BLE001 - paramiko and cryptography have many kinds
        # Two kinds of files, and either library may be the one to see it.
        return None if "password" in str(error).lower() else f"it is no private key ({error})"
    return ""
